"""Uploads in ranges, an addition of ours: what broke off goes on where it stopped, hours later too.

    PUT …/file   Content-Range: bytes 0-1048575/4000000     202  Upload-Offset: 1048576
    HEAD …/file                                             204  Upload-Offset: 1500000   (after a broken connection)
    PUT …/file   Content-Range: bytes 1500000-3999999/4000000   204, the image is active

Clients that know nothing of it send no Content-Range, and nothing is different for them.  Each range begins where the bytes
that are here end; the quota holds the total from the first request on.  Hashing goes on where it stopped as long as the same
process gets the next range; another one reads what is there once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from starlette.requests import ClientDisconnect

from common.auth.callers import Caller
from common.errors import InvalidInput, PlatformError
from services.image.api.kit import Kit
from services.image.api.receiving import Receiving, begin
from services.image.core.images import Gone, Image, Status
from services.image.core.ranges import Part, RangeNotSatisfiable
from services.image.db.images import Images
from services.image.db.uploads import Uploads
from services.image.drivers.store.files import Arrival


@dataclass
class ReceivingPart(Receiving):
    """One range of an upload."""

    part: Part = field(kw_only=True)
    part_id: UUID = field(kw_only=True)
    held: int = field(default=0, kw_only=True)  # bytes of the upload that are here

    async def run(self, chunks: AsyncIterator[bytes], declared: int | None) -> None:
        """A connection that breaks off leaves what came; a refusal, or too little room, ends the whole upload."""
        try:
            await self._run(chunks)
        except (ClientDisconnect, asyncio.CancelledError, RangeNotSatisfiable, InvalidInput, Gone):
            await asyncio.shield(self.kit.off_loop(self._rest))
            raise
        except BaseException:
            await asyncio.shield(self.kit.off_loop(self._forget))
            raise

    async def _run(self, chunks: AsyncIterator[bytes]) -> None:
        super()._refuse_size(self.part.total)
        arrival = await self.kit.off_loop(self._arrival)
        try:
            await self._claim(self.part.total)
            await self._take(chunks, arrival)
        finally:
            self.held = arrival.size
            self.kit.paused.put(self.upload_id, arrival)
        if not self.is_whole:
            await self.kit.off_loop(self._rest)
        elif (arrival_again := self.kit.paused.take(self.upload_id)) is not None:
            with closing(arrival_again) as whole:
                await self._kept(whole)

    @property
    def is_whole(self) -> bool:
        return self.held == self.part.total

    def _arrival(self) -> Arrival:
        """Where the bytes go on.  RangeNotSatisfiable unless the range begins there"""
        spool, arrival = self.kit.store, self.kit.paused.take(self.upload_id)
        held = spool.arrived_bytes(self.upload_id)
        if self.part.first != held:
            if arrival is not None:
                self.kit.paused.put(self.upload_id, arrival)
            raise RangeNotSatisfiable(f"There are {held} bytes of this upload; the next range must begin there")
        if arrival is not None and arrival.size == held:
            return arrival
        if arrival is not None:
            arrival.close()  # another process took a range meanwhile
        return spool.reopened(self.upload_id)

    def _refuse_size(self, size: int) -> None:
        if size > self.part.last + 1:
            raise InvalidInput("There are more bytes than Content-Range names")

    async def _count(self, size: int) -> None:
        await super()._count(max(size, self.claimed))  # the total is claimed already

    def _claim_now(self, size: int) -> None:
        with self.kit.database.transaction() as session:
            Uploads(session).must_be_bringing(self.upload_id, self.part_id)
            Uploads(session).claim(self.upload_id, size, quota=self.kit.settings.project_quota_bytes)

    def _rest(self) -> None:
        """The next range may come, unless the image is gone."""
        is_over = False
        with suppress(PlatformError), self.kit.database.transaction() as session:
            Uploads(session).rest(self.upload_id, self.part_id)
            is_over = not Uploads(session).alive([self.upload_id])
        if is_over:
            forget(self.kit, self.upload_id)

    def _forget(self) -> None:
        forget(self.kit, self.upload_id)
        super()._forget()


def forget(kit: Kit, upload_id: UUID) -> None:
    """The bytes of an upload that will not go on; twice is once."""
    if (arrival := kit.paused.take(upload_id)) is not None:
        arrival.close()
    kit.store.discard(upload_id)


def begin_part(kit: Kit, image_id: UUID, caller: Caller, part: Part, *, store: str) -> ReceivingPart:
    """Reserve the image for this range.  NotFound, Forbidden, Conflict, InvalidInput, TooLarge"""
    if part.first == 0:
        with kit.database.reading() as session:
            is_new = Images(session).seen(image_id, kit.viewer(caller)).status is Status.QUEUED
        if is_new:
            begin(kit, image_id, caller, store=store, total=part.total)
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("upload_image", caller, image)
        part_id = uuid4()
        upload_id = Uploads(session).bring(image, part, part_id, patience_s=kit.settings.upload_patience_s)
    return ReceivingPart(kit, image, store, upload_id, part=part, part_id=part_id)


def offset(kit: Kit, image: Image) -> int:
    """How many bytes of an upload in ranges are here."""
    with kit.database.reading() as session:
        upload_id = Uploads(session).in_ranges(image.id)
    return kit.store.arrived_bytes(upload_id) if upload_id else 0
