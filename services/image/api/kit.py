"""What this service's routes work with, and how they get it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Request

from common.auth.callers import Caller
from common.auth.policy import Policy
from common.bus.bus import Bus
from common.db.database import Database
from common.errors import NotFound
from services.image.core.images import Image, Viewer
from services.image.core.listing import as_uuid
from services.image.drivers.certificates.signatures import Certificates
from services.image.drivers.store.cache import BytesCache
from services.image.drivers.store.files import FileStore
from services.image.drivers.store.paused import Paused
from services.image.drivers.store.stores import Stores
from services.image.sagas.kit import Inspects
from services.image.settings import ImageSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Built once in `main`."""

    settings: ImageSettings
    public_url: str  # of this API: links in answers begin with it
    database: Database
    stores: Stores
    inspector: Inspects
    certificates: Certificates | None  # None: signatures are not looked at
    policy: Policy
    bus: Bus
    threads: ThreadPoolExecutor  # for bytes; other routes run on the framework's own
    endings: ThreadPoolExecutor  # what ends an upload may take minutes, and must hold up no bytes
    paused: Paused = field(default_factory=Paused)
    cache: BytesCache | None  # none: every download reads from a store
    nudge: Callable[[], None] = lambda: None  # tells the saga engine that there is work
    cache_nudge: Callable[[], None] = lambda: None  # the same for who fills the cache

    @property
    def store(self) -> FileStore:
        """Where bytes arrive and are staged."""
        return self.stores.spool

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Run blocking work without holding up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, copy_context().run, work)

    async def to_the_end(self, work: Callable[[], T]) -> T:
        """The same for what ends an upload; whoever cancels it waits until it is done, and can clear away what it left
        without racing it."""
        doing = asyncio.get_running_loop().run_in_executor(self.endings, copy_context().run, work)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            if not doing.cancelled():
                doing.exception()  # it has been looked at: who cancelled it asks no more
            raise

    def viewer(self, caller: Caller) -> Viewer:
        return Viewer(caller.project_id, sees_all=self.policy.allows("see_every_image", caller))

    def must(self, rule: str, caller: Caller, image: Image) -> None:
        """Forbidden unless the rule lets this caller do it to this image."""
        self.policy.must(rule, caller, image.target())


async def kit_of(request: Request) -> Kit:
    kit: Kit = request.app.state.kit
    return kit


async def id_in_path(image_id: str) -> UUID:
    """The image's id; what is none belongs to no image.  NotFound"""
    if (found := as_uuid(image_id)) is None:
        raise NotFound(f"No image found with ID {image_id}")
    return found


KitOf = Annotated[Kit, Depends(kit_of)]
ImageId = Annotated[UUID, Depends(id_in_path)]
