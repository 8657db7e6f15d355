"""All stores of this site by their ids.  Bytes arrive in the spool, which is the file store, and go to others from there."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from uuid import UUID

from common.errors import Conflict, InvalidInput, PlatformError, Unavailable
from services.image.drivers.store.files import FileStore
from services.image.drivers.store.store import Store

log = logging.getLogger(__name__)

SPOOL = "file"


class Stores:
    def __init__(
        self,
        spool: FileStore,
        others: Mapping[str, Store],
        *,
        default_id: str = SPOOL,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        """InvalidInput if the default store is none of them"""
        if default_id not in {SPOOL, *others}:
            raise InvalidInput(f"The default store '{default_id}' is none of the stores")
        self._stores: dict[str, Store] = dict(sorted({SPOOL: spool, **others}.items()))
        self.spool, self.default_id = spool, default_id
        self.weights = dict(weights or {})
        self._silent: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._stores)

    def __getitem__(self, store_id: str) -> Store:
        """Conflict if the site has no such store any more"""
        if (found := self._stores.get(store_id)) is None:
            raise Conflict(f"Store for identifier {store_id[:80]} not found")
        return found

    def __iter__(self) -> Iterator[tuple[str, Store]]:
        return iter(self._stores.items())

    def ranked(self, store_ids: Collection[str]) -> tuple[str, ...]:
        """These, the heaviest first."""
        return tuple(sorted(store_ids, key=lambda one: (-self.weights.get(one, 0), one)))

    def nearest(self, store_ids: Collection[str]) -> list[str]:
        """These, the ones with files of this machine first, the heaviest of each kind."""
        return sorted(self.ranked(store_ids), key=lambda one: self[one].kind != FileStore.kind)

    def local(self, image_id: UUID, store_ids: Collection[str]) -> Path | None:
        """A file with the image's bytes, if one of these stores has such."""
        return next((path for one in self.nearest(store_ids) if (path := self[one].local(image_id))), None)

    def remove(self, image_id: UUID, store_ids: Collection[str]) -> None:
        """From these and from the staging area; a store that is gone is swept when it is back."""
        self.spool.unstage(image_id)
        for name in {*store_ids, SPOOL}:
            self.remove_from(name, image_id)

    def remove_from(self, store_id: str, image_id: UUID) -> None:
        try:
            self[store_id].remove(image_id)
        except PlatformError as error:
            log.warning("an image's bytes stay for now", extra={"store": store_id, "why": error.message})

    def probe(self) -> None:
        """Unavailable unless bytes can be stored on this machine."""
        for store in self._stores.values():
            if store.kind == FileStore.kind:
                store.probe()

    def look(self) -> None:
        """Ask those that are elsewhere whether they are there; `complain` tells what came of it."""
        silent = []
        for name, store in self:
            try:
                if store.kind != FileStore.kind:
                    store.probe()
            except PlatformError as error:
                silent.append(name)
                log.warning("store does not answer", extra={"store": name, **error.facts})
        self._silent = tuple(silent)

    def complain(self) -> None:
        """Unavailable if a store did not answer at the last look."""
        if self._silent:
            raise Unavailable(f"No answer from {', '.join(self._silent)}")
