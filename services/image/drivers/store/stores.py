"""All stores of this site by their ids.  Bytes arrive in the default one, and are copied to others from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

from common.errors import Conflict
from services.image.drivers.store.files import FileStore


class Stores:
    def __init__(self, default_id: str, directories: Mapping[str, Path]) -> None:
        self._stores = {name: FileStore(directory) for name, directory in sorted(directories.items())}
        self.default_id, self.default = default_id, self._stores[default_id]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._stores)

    def __getitem__(self, store_id: str) -> FileStore:
        """Conflict if the site has no such store any more"""
        if (found := self._stores.get(store_id)) is None:
            raise Conflict(f"Store for identifier {store_id[:80]} not found")
        return found

    def __iter__(self) -> Iterator[tuple[str, FileStore]]:
        return iter(self._stores.items())

    def remove(self, image_id: UUID) -> None:
        """From all of them, the staging area too; twice is once."""
        for store in self._stores.values():
            store.remove(image_id)
        self.default.unstage(image_id)

    def probe(self) -> None:
        """Unavailable unless bytes can be stored in each."""
        for store in self._stores.values():
            store.probe()
