"""Bytes on their way into an image: streamed, counted, hashed, inspected, then kept; or forgotten without a trace.

While some pieces are hashed and written on threads, the next ones arrive; memory stays the same however large the image.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.clock import utc_now
from common.errors import InvalidInput, PlatformError, TooLarge, Unsupported
from common.saga.store import Sagas
from services.image.api.kit import Kit
from services.image.api.lanes import Lane
from services.image.contract import ImageActivated, ImageRefused
from services.image.core.formats import judged
from services.image.core.images import Content, Image, Staged, Status
from services.image.core.imports import must_be_known
from services.image.core.quotas import Quotas
from services.image.core.signatures import signature_of
from services.image.core.tasks import KEPT_FOR
from services.image.db.images import Images
from services.image.db.living import Living
from services.image.db.places import Places
from services.image.db.tables import SAGAS
from services.image.db.tasks import Tasks
from services.image.db.uploads import Uploads
from services.image.db.usage import Usage
from services.image.drivers.certificates.signatures import SignatureCheck
from services.image.drivers.store.files import Arrival
from services.image.drivers.store.store import Store

log = logging.getLogger(__name__)

BATCH_BYTES = 1 << 20
AHEAD = 4  # batches that wait for a hash or the disk while more arrive
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
    signed: SignatureCheck | None = None  # sees the bytes pass, where this site looks at signatures

    async def run(self, chunks: AsyncIterator[bytes], declared: int | None) -> None:
        """Take all of `chunks`; whatever goes wrong, the image waits for bytes again and none are left."""
        try:
            if declared is not None:
                self._refuse_size(declared)
                await self._claim(declared)
            self.signed = await self.kit.off_loop(self._signature)
            arrival = await self.kit.off_loop(self._arrival)
            try:
                await self._take(chunks, arrival)
                await self._kept(arrival)
            finally:
                arrival.close()
        except BaseException:
            await asyncio.shield(self.kit.off_loop(self._forget))
            raise

    async def _kept(self, arrival: Arrival) -> None:
        """Keep what came; the upload is heard of while it is looked into, or waits for that."""
        life = asyncio.ensure_future(self._go_on_living(max(arrival.size, self.claimed)))
        try:
            await self.kit.to_the_end(lambda: self._keep(arrival))
        finally:
            life.cancel()

    async def _go_on_living(self, size: int) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_S)
            with suppress(PlatformError):  # its end tells what is wrong
                await self._claim(size)

    def _arrival(self) -> Arrival:
        self.kit.inspector.wake()
        return self.kit.store.arrival(self.upload_id)

    async def _take(self, chunks: AsyncIterator[bytes], arrival: Arrival) -> None:
        storing = Storing(
            self.kit.threads, [arrival.write, arrival.add_md5, *([self.signed.update] if self.signed else [])]
        )
        taken, syncing = arrival.size, asyncio.ensure_future(self.kit.off_loop(lambda: None))
        try:
            async for chunk in chunks:
                taken += len(chunk)
                self._refuse_size(taken)
                if not storing.gather(chunk):
                    continue
                await self._count(taken)
                await storing.go_on()
                if taken >= self.synced + SYNC_STEP_BYTES and syncing.done():
                    syncing.result()  # the kernel tells a failed write once, and not to the next sync
                    self.synced, syncing = taken, asyncio.ensure_future(self.kit.off_loop(arrival.sync))
            await self._count(taken)
            await storing.go_on()
        finally:
            ends = await asyncio.gather(storing.end(), syncing, return_exceptions=True)
        # nothing touches the file any more
        for failure in ends:
            if failure is not None:
                raise failure

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
        self.kit.store.probe()
        content = self._inspected(arrival)
        kit, store = self.kit, self.kit.stores[self.store]
        keep = store.bring(
            arrival.path,
            self.image.id,
            self.upload_id,
            given=store is kit.store,
            heard=lambda: self._live(content.size),
        )
        try:
            if not store.keeps_at_once:
                self._claim_now(content.size)  # Gone: nobody waits for these bytes any more
                keep()
            with kit.database.transaction() as session:
                Uploads(session).finish(self.upload_id, content, self.store)
                if store.keeps_at_once:
                    keep()
        except BaseException:
            self._take_back()
            raise
        kit.store.discard(self.upload_id)  # a copy went into another store
        owner = self.image.attributes.owner
        kit.bus.tell(ImageActivated(image_id=self.image.id, project_id=owner, size=content.size))

    def _live(self, size: int) -> None:
        """Say from time to time that the upload goes on, while its bytes go elsewhere."""
        if time.monotonic() - self.heard_at > SIGN_OF_LIFE_S:
            self._claim_now(size)
            self.heard_at = time.monotonic()

    def _signature(self) -> SignatureCheck | None:
        """BadSignature if the image's signature can't be verified, whatever comes"""
        if self.kit.certificates is None:
            return None
        signature = signature_of(self.image.attributes.properties)
        return None if signature is None else self.kit.certificates.check(signature)

    def _must_be_signed(self, arrival: Arrival) -> None:
        """BadSignature unless all that came is what was signed, or nothing is said of that"""
        check = self.signed or self._signature()
        if check is None:
            return
        if check.size != arrival.size:  # some of it, or all, passed by in earlier requests
            check.read(arrival.path)
        check.verify()

    def _take_back(self) -> None:
        """The commit failed, or nobody knows whether it did: remove the bytes unless the image has, or will have, them."""
        with suppress(PlatformError):
            with self.kit.database.reading() as session:
                belong = Places(session).of(self.image.id) or Uploads(session).others(self.image.id, self.upload_id)
            if not belong:
                self.kit.stores[self.store].remove(self.image.id)

    def _inspected(self, arrival: Arrival) -> Content:
        self._must_be_signed(arrival)
        attributes, (md5, sha512) = self.image.attributes, arrival.hashes()
        finding = self.kit.inspector.inspect(arrival.path, attributes.container_format)
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
            with suppress(PlatformError):  # the sweep comes back to it
                store.discard(self.upload_id)
        with suppress(PlatformError), self.kit.database.transaction() as session:
            Uploads(session).abandon(self.upload_id)


class Storing:
    """Hashes and writes the pieces of one upload, each in a lane of its own, some ahead of others."""

    def __init__(self, threads: ThreadPoolExecutor, does: Sequence[Callable[[bytes], None]]) -> None:
        self._lanes = [(Lane(threads), do) for do in does]
        self._batch: list[bytes] = []
        self._size = 0
        self._under_way: deque[list[Future[None]]] = deque()

    def gather(self, piece: bytes) -> bool:
        """Whether there are enough pieces to go on with."""
        self._batch.append(piece)
        self._size += len(piece)
        return self._size >= BATCH_BYTES

    async def go_on(self) -> None:
        """Have what was gathered stored, and wait if that is far behind."""
        self._under_way.append([lane.give(partial(_for_all, do, self._batch)) for lane, do in self._lanes])
        self._batch, self._size = [], 0
        if len(self._under_way) > AHEAD:
            await asyncio.gather(*map(asyncio.wrap_future, self._under_way[0]))
            self._under_way.popleft()

    async def end(self) -> None:
        """Return when all that was to be stored is, on all lanes; whatever went wrong with it"""
        left = [asyncio.wrap_future(one) for batch in self._under_way for one in batch]
        if left:
            await asyncio.wait(left)
        for one in left:
            one.result()


def _for_all(do: Callable[[bytes], None], pieces: Sequence[bytes]) -> None:
    for piece in pieces:
        do(piece)


class Staging(Receiving):
    """One upload into the staging area: verified and looked into only when it is imported."""

    def _signature(self) -> None:
        return None

    @property
    def _is_bounded(self) -> bool:
        settings = self.kit.settings
        return max(settings.project_quota_bytes, settings.staging_bytes, settings.project_quota_staged_bytes) >= 0

    def _claim_now(self, size: int) -> None:
        settings = self.kit.settings
        with self.kit.database.transaction() as session:
            Uploads(session).claim(
                self.upload_id,
                size,
                quota=settings.project_quota_bytes,
                staging_room=settings.staging_bytes,
                staged=settings.project_quota_staged_bytes,
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


def begin(kit: Kit, image_id: UUID, caller: Caller, *, store: str, total: int | None = None) -> Receiving:
    """Reserve the image for one upload; with a total, for one in ranges.

    NotFound, Forbidden, Conflict, InvalidInput, TooLarge
    """
    must_be_known(store, kit.stores.ids)
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("upload_image", caller, image)
        missing = [name for name in ("disk_format", "container_format") if getattr(image.attributes, name) is None]
        receiving = Receiving(kit, image, store)
        _must_have_room(session, kit, image)
        Uploads(session).begin(image, receiving.upload_id, total=total)
        if missing:
            raise InvalidInput(f"Properties {', '.join(missing)} must be set prior to saving data.")
    return receiving


def sweep(kit: Kit) -> None:
    """Give up uploads nobody continues, remove bytes that belong to nothing, and forget old tasks."""
    with kit.database.transaction() as session:
        settings = kit.settings
        given_up = Uploads(session).abandon_silent(settings.upload_patience_s, in_ranges_s=settings.resume_patience_s)
        Tasks(session).forget(utc_now())
        Sagas(session, SAGAS).forget(utc_now() - KEPT_FOR)
    with kit.database.reading() as session:
        kit.paused.drop_all_but(Uploads(session).alive(kit.paused.ids()))
    kit.stores.look()
    removed = _sweep_staging(kit) + sum(_sweep_store(kit, name, store) for name, store in kit.stores)
    if given_up or removed:
        log.info("removed what belonged to no image", extra={"uploads": len(given_up), "files": removed})


def _sweep_store(kit: Kit, name: str, store: Store) -> int:
    """How many things belonged to nothing; a store that is gone is swept when it is back."""
    try:
        return store.sweep(Living(kit.database, name), older_than_s=kit.settings.upload_patience_s)
    except PlatformError as error:
        log.warning("store not swept", extra={"store": name, "why": error.message})
        return 0


def _sweep_staging(kit: Kit) -> int:
    staged = kit.store.staged(older_than_s=kit.settings.upload_patience_s)
    with kit.database.reading() as session:
        leftovers = set(staged) - Uploads(session).waiting(staged)
    for image_id in leftovers:
        kit.store.unstage(image_id)
    return len(leftovers)
