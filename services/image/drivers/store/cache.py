"""Images kept at hand on this machine, whose bytes are in a store elsewhere: files that may go at any time.

An image of a file store on the same file system is linked, so that caching it costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from common.errors import NotFound, Unavailable
from services.image.core.images import Content
from services.image.drivers.store.fetching import fetched
from services.image.drivers.store.files import FileReading, FileStore
from services.image.drivers.store.stores import Stores


class BytesCache:
    """Thread-safe; several processes may share the directory."""

    def __init__(self, directory: Path) -> None:
        self._files = FileStore(directory)

    def fill(self, image_id: UUID, content: Content, stores: Stores, held_by: Collection[str]) -> None:
        """Twice is once.  NotFound, Unavailable, TooLarge, OtherBytes"""
        if self._files.holds(image_id):
            return
        upload_id = uuid4()
        if (path := stores.local(image_id, held_by)) is not None:
            if self._link(path, image_id):
                return
            keep = self._files.bring(path, image_id, upload_id, given=False, heard=lambda: None)
        else:
            path = self._from_afar(image_id, content, stores, held_by, upload_id)
            keep = self._files.bring(path, image_id, upload_id, given=True, heard=lambda: None)
        keep()

    def _link(self, path: Path, image_id: UUID) -> bool:
        with suppress(OSError):
            os.link(path, self._files.path(image_id))
        return self._files.holds(image_id)

    def _from_afar(
        self, image_id: UUID, content: Content, stores: Stores, held_by: Collection[str], upload_id: UUID
    ) -> Path:
        for name in stores.nearest(held_by):
            try:
                return fetched(stores[name], image_id, content, self._files, upload_id)
            except (NotFound, Unavailable):
                continue
        self._files.discard(upload_id)
        raise Unavailable("No store gave the image's bytes")

    def open(self, image_id: UUID, first: int, end: int) -> FileReading | None:
        """None unless it is here."""
        with suppress(NotFound):
            return self._files.open(image_id, first, end)
        return None

    def local(self, image_id: UUID) -> Path | None:
        return self._files.local(image_id)

    def remove(self, image_id: UUID) -> None:
        """Twice is once; a download that goes on keeps its bytes."""
        self._files.remove(image_id)

    def images(self) -> list[UUID]:
        return self._files.images()
