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

from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.clock import utc_now
from common.errors import InvalidInput, PlatformError, TooLarge, Unsupported
from common.saga.store import Sagas
from services.image.api.kit import Kit
from services.image.contract import ImageActivated, ImageRefused
from services.image.core.formats import judged
from services.image.core.images import Content, Image, Staged, Status
from services.image.core.imports import must_be_known
from services.image.core.quotas import Quotas
from services.image.core.tasks import KEPT_FOR
from services.image.db.images import Images
from services.image.db.places import Places
from services.image.db.tables import SAGAS
from services.image.db.tasks import Tasks
from services.image.db.uploads import Uploads
from services.image.db.usage import Usage
from services.image.drivers.store.files import Arrival, FileStore

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
    store: str  # where the bytes are kept in the end
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
        if size > self.claimed and self._is_bounded:
            try:
                await self._claim(size + CLAIM_STEP_BYTES)
            except TooLarge:
                await self._claim(size)
        elif time.monotonic() - self.heard_at > SIGN_OF_LIFE_S:
            await self._claim(max(size, self.claimed))

    @property
    def _is_bounded(self) -> bool:
        return self.kit.settings.project_quota_bytes >= 0

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
        kit, store = self.kit, self.kit.stores[self.store]
        path = arrival.path if store is kit.store else store.copied(arrival.path, self.upload_id)
        try:
            with kit.database.transaction() as session:
                Uploads(session).finish(self.upload_id, content, self.store)
                store.keep(path, self.image.id)
        except BaseException:
            self._take_back()
            raise
        kit.store.discard(self.upload_id)  # a copy went into another store
        owner = self.image.attributes.owner
        kit.bus.tell(ImageActivated(image_id=self.image.id, project_id=owner, size=content.size))

    def _take_back(self) -> None:
        """The commit failed, or nobody knows whether it did: remove the bytes unless the image has them."""
        with suppress(PlatformError), self.kit.database.reading() as session:
            if not Places(session).of(self.image.id):
                self.kit.stores[self.store].remove(self.image.id)

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
        for _, store in self.kit.stores:
            store.discard(self.upload_id)
        with suppress(PlatformError), self.kit.database.transaction() as session:
            Uploads(session).abandon(self.upload_id)


class Staging(Receiving):
    """One upload into the staging area: looked into only when it is imported."""

    @property
    def _is_bounded(self) -> bool:
        settings = self.kit.settings
        return max(settings.project_quota_bytes, settings.staging_bytes, settings.project_quota_staged_bytes) >= 0

    def _claim_now(self, size: int) -> None:
        settings = self.kit.settings
        with self.kit.database.transaction() as session:
            Uploads(session).claim(
                self.upload_id, size, quota=settings.project_quota_bytes, staging_room=settings.staging_bytes
            )

    def _keep(self, arrival: Arrival) -> None:
        arrival.sync()
        md5, sha512 = arrival.hashes()
        with self.kit.database.transaction() as session:
            Uploads(session).stage(self.upload_id, Staged(size=arrival.size, md5=md5, sha512=sha512))
            self.kit.store.stage(arrival.path, self.image.id)


def begin_staging(kit: Kit, image_id: UUID, caller: Caller) -> Staging:
    """Reserve the image for one upload.  NotFound, Forbidden, Conflict, TooLarge"""
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("modify_image", caller, image)
        _must_have_room(session, kit, image)
        staging = Staging(kit, image, kit.stores.default_id)
        Uploads(session).begin(image, staging.upload_id, Status.UPLOADING)
    return staging


def _must_have_room(session: Session, kit: Kit, image: Image) -> None:
    """TooLarge if the project has too many uploads at a time"""
    Quotas.of(kit.settings).must_have_room_for_an_upload(Usage(session).of(image.attributes.owner))


def begin(kit: Kit, image_id: UUID, caller: Caller, *, store: str) -> Receiving:
    """Reserve the image for one upload.  NotFound, Forbidden, Conflict, InvalidInput, TooLarge"""
    must_be_known(store, kit.stores.ids)
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("upload_image", caller, image)
        missing = [name for name in ("disk_format", "container_format") if getattr(image.attributes, name) is None]
        receiving = Receiving(kit, image, store)
        _must_have_room(session, kit, image)
        Uploads(session).begin(image, receiving.upload_id)
        if missing:
            raise InvalidInput(f"Properties {', '.join(missing)} must be set prior to saving data.")
    return receiving


def sweep(kit: Kit) -> None:
    """Give up uploads nobody continues, remove bytes that belong to nothing, and forget old tasks."""
    with kit.database.transaction() as session:
        given_up = Uploads(session).abandon_silent(kit.settings.upload_patience_s)
        Tasks(session).forget(utc_now())
        Sagas(session, SAGAS).forget(utc_now() - KEPT_FOR)
    removed = sum(_sweep_store(kit, name, store) for name, store in kit.stores)
    if given_up or removed:
        log.info("removed what belonged to no image", extra={"uploads": len(given_up), "files": removed})


def _sweep_store(kit: Kit, name: str, store: FileStore) -> int:
    """How many files belonged to nothing."""
    patience_s = kit.settings.upload_patience_s
    arrivals, staged, kept = (
        store.uploads(),
        store.staged(older_than_s=patience_s),
        store.images(older_than_s=patience_s),
    )
    with kit.database.reading() as session:
        uploads, places = Uploads(session), Places(session)
        orphans = set(arrivals) - uploads.alive(arrivals)
        leftovers = set(staged) - uploads.waiting(staged)
        strangers = set(kept) - places.wanted(name, kept)
    for remove, ids in ((store.discard, orphans), (store.unstage, leftovers), (store.remove, strangers)):
        for one in ids:
            remove(one)
    return len(orphans) + len(leftovers) + len(strangers)
