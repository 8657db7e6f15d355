"""Bytes on their way into an image: streamed, counted, hashed, inspected, then kept; or forgotten without a trace.

While one batch is hashed and written on threads, the next one arrives; memory stays the same however large the image.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from common.auth.callers import Caller
from common.errors import InvalidInput, PlatformError, TooLarge, Unsupported
from services.image.api.kit import Kit
from services.image.contract import ImageActivated, ImageRefused
from services.image.core.formats import judged
from services.image.core.images import Content, Image
from services.image.db.images import Images
from services.image.db.uploads import Uploads
from services.image.drivers.store.files import Arrival

log = logging.getLogger(__name__)

BATCH_BYTES = 1 << 20
CLAIM_STEP_BYTES = 64 << 20
SYNC_STEP_BYTES = 32 << 20  # written out while more arrives, so that the end need not wait for all of it
SIGN_OF_LIFE_S = 5.0


@dataclass
class Receiving:
    """One upload."""

    kit: Kit
    image: Image
    upload_id: UUID = field(default_factory=uuid4)
    claimed: int = 0  # bytes that the database knows of
    synced: int = 0  # bytes that were on their way to the disk at the last look
    heard_at: float = field(default_factory=time.monotonic)

    async def run(self, chunks: AsyncIterator[bytes], declared: int | None) -> None:
        """Take all of `chunks`; whatever goes wrong, the image waits for bytes again and none are left."""
        try:
            if declared is not None:
                self._refuse_size(declared)
                await self._claim(declared)
            arrival = await self.kit.off_loop(lambda: self.kit.store.arrival(self.upload_id))
            try:
                await self._take(chunks, arrival)
                await self.kit.off_loop(lambda: self._keep(arrival))
            finally:
                arrival.close()
        except BaseException:
            await asyncio.shield(self.kit.off_loop(self._forget))
            raise

    async def _take(self, chunks: AsyncIterator[bytes], arrival: Arrival) -> None:
        batch: list[bytes] = []
        taken = waiting = 0
        storing = syncing = asyncio.ensure_future(self._store(arrival, b""))
        try:
            async for chunk in chunks:
                batch.append(chunk)
                taken, waiting = taken + len(chunk), waiting + len(chunk)
                self._refuse_size(taken)
                if waiting < BATCH_BYTES:
                    continue
                await self._count(taken)
                await storing
                storing, batch, waiting = asyncio.ensure_future(self._store(arrival, b"".join(batch))), [], 0
                if taken >= self.synced + SYNC_STEP_BYTES and syncing.done():
                    self.synced, syncing = taken, asyncio.ensure_future(self.kit.off_loop(arrival.sync))
            await self._count(taken)
        finally:
            await asyncio.gather(storing, syncing)  # nothing may touch the file afterwards
        await self._store(arrival, b"".join(batch))

    async def _store(self, arrival: Arrival, piece: bytes) -> None:
        """Hash and write a piece; md5 beside the rest, on a thread of its own."""
        await asyncio.gather(
            self.kit.off_loop(lambda: arrival.write(piece)), self.kit.off_loop(lambda: arrival.add_md5(piece))
        )

    def _refuse_size(self, size: int) -> None:
        if size > self.kit.settings.max_image_bytes:
            raise TooLarge(f"An image may have {self.kit.settings.max_image_bytes} bytes at most")

    async def _count(self, size: int) -> None:
        """Claim what has come before it is written, in steps; and say from time to time that the upload lives."""
        if size > self.claimed and self.kit.settings.project_quota_bytes >= 0:
            try:
                await self._claim(size + CLAIM_STEP_BYTES)
            except TooLarge:
                await self._claim(size)
        elif time.monotonic() - self.heard_at > SIGN_OF_LIFE_S:
            await self._claim(max(size, self.claimed))

    async def _claim(self, size: int) -> None:
        await self.kit.off_loop(lambda: self._claim_now(size))
        self.claimed, self.heard_at = size, time.monotonic()

    def _claim_now(self, size: int) -> None:
        with self.kit.database.transaction() as session:
            Uploads(session).claim(self.upload_id, size, quota=self.kit.settings.project_quota_bytes)

    def _keep(self, arrival: Arrival) -> None:
        """Inspect the bytes, make them the image's and the image active."""
        arrival.sync()
        content = self._inspected(arrival)
        kit = self.kit
        try:
            with kit.database.transaction() as session:
                Uploads(session).finish(self.upload_id, content)
                kit.store.keep(arrival, self.image.id)
        except BaseException:
            self._take_back()
            raise
        owner = self.image.attributes.owner
        kit.bus.tell(ImageActivated(image_id=self.image.id, project_id=owner, size=content.size))

    def _take_back(self) -> None:
        """The commit failed, or nobody knows whether it did: remove the bytes unless the image has them."""
        with suppress(PlatformError), self.kit.database.reading() as session:
            if not Images(session).with_bytes([self.image.id]):
                self.kit.store.remove(self.image.id)

    def _inspected(self, arrival: Arrival) -> Content:
        attributes, (md5, sha512) = self.image.attributes, arrival.hashes()
        finding = self.kit.inspector.inspect(arrival.path)
        try:
            virtual_size = judged(
                finding, disk_format=attributes.disk_format, container_format=attributes.container_format
            )
        except Unsupported as error:
            log.info("image refused", extra={"image_id": self.image.id, "why": error.message})
            refused = ImageRefused(image_id=self.image.id, project_id=attributes.owner, reason=error.message)
            self.kit.bus.tell(refused)
            raise
        return Content(size=arrival.size, virtual_size=virtual_size, md5=md5, sha512=sha512)

    def _forget(self) -> None:
        self.kit.store.discard(self.upload_id)
        with suppress(PlatformError), self.kit.database.transaction() as session:
            Uploads(session).abandon(self.upload_id)


def begin(kit: Kit, image_id: UUID, caller: Caller) -> Receiving:
    """Reserve the image for one upload.  NotFound, Forbidden, Conflict, InvalidInput"""
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("upload_image", caller, image)
        missing = [name for name in ("disk_format", "container_format") if getattr(image.attributes, name) is None]
        receiving = Receiving(kit, image)
        Uploads(session).begin(image, receiving.upload_id)
        if missing:
            raise InvalidInput(f"Properties {', '.join(missing)} must be set prior to saving data.")
    return receiving


def sweep(kit: Kit) -> None:
    """Give up uploads nobody continues, and remove bytes that belong to nothing."""
    with kit.database.transaction() as session:
        given_up = Uploads(session).abandon_silent(kit.settings.upload_patience_s)
    arrivals, kept = kit.store.uploads(), kit.store.images(older_than_s=kit.settings.upload_patience_s)
    with kit.database.reading() as session:
        orphans = set(arrivals) - Uploads(session).alive(arrivals)
        strangers = set(kept) - Images(session).with_bytes(kept)
    for upload_id in orphans:
        kit.store.discard(upload_id)
    for image_id in strangers:
        kit.store.remove(image_id)
    if given_up or orphans or strangers:
        counts = {"uploads": len(given_up), "arrivals": len(orphans), "files": len(strangers)}
        log.info("removed what belonged to no image", extra=counts)
