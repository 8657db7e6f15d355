"""Images for one host's guests: from the cache, filled from the image service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event
from typing import Protocol
from uuid import UUID

from common.errors import Conflict, Unauthenticated, Unavailable
from services.compute.core.guests import GuestImage
from services.compute.drivers.images import ImageCache

PIECE_BYTES = 1 << 20
WITH_BYTES = ("active", "deactivated")
GIB = 1 << 30


class ImageSource(Protocol):
    """What is needed of the image service (`services.image.client.ImageClient`)."""

    def download(self, image_id: UUID) -> AbstractContextManager[Iterator[bytes]]: ...

    def local_path(self, image_id: UUID) -> Path | None: ...

    def status(self, image_id: UUID) -> str: ...

    def upload(self, image_id: UUID, pieces: Iterator[bytes], size: int) -> None: ...


class HostImages:
    """The cache of one host, or of all simulated ones of a process.  Thread-safe."""

    def __init__(
        self,
        cache: ImageCache,
        source: ImageSource,
        *,
        forget_token: Callable[[], None],
        max_bytes: int,
        oldest_s: float = float("inf"),
    ) -> None:
        self._cache, self._source, self._forget_token = cache, source, forget_token
        self._max_bytes, self._oldest_s = max_bytes, oldest_s

    def ensure(self, image: GuestImage) -> Path:
        """The image's file on this host, checked.  HostFailed, Unavailable, NotFound, PlatformError"""
        local = None if self.has(image) else self._local(image)
        return self._cache.ensure(image, lambda: self._bytes(image), local=local)

    def has(self, image: GuestImage) -> bool:
        """Whether it would not have to be fetched."""
        return (self._cache.directory / image.sha512).exists()

    def is_active(self, image_id: UUID) -> bool:
        """Whether the image has its bytes.  NotFound, Unavailable"""
        with self._known():
            return self._source.status(image_id) in WITH_BYTES

    def upload(self, image_id: UUID, file: Path, *, over: Event) -> None:
        """Give a queued image the bytes of a file, however large, a piece at a time.

        Conflict once `over` is set; Unavailable while the image service still waits for an earlier upload.
        """
        try:
            with self._known():
                self._source.upload(image_id, _pieces(file, over), file.stat().st_size)
        except Conflict as error:
            if over.is_set():
                raise
            raise Unavailable("The image is still being given up by an earlier upload") from error

    def prune(self, in_use: Set[str]) -> list[str]:
        """Make room, leaving what guests read; hashes of what went."""
        return self._cache.prune(in_use, max_bytes=self._max_bytes, oldest_s=self._oldest_s)

    def used_gib(self) -> int:
        """GiB of disk that the images here take, rounded up."""
        return -(-self._cache.used_bytes() // GIB)

    def _bytes(self, image: GuestImage) -> Iterator[bytes]:
        with self._known(), self._source.download(image.id) as pieces:
            yield from pieces

    def _local(self, image: GuestImage) -> Path | None:
        with self._known():
            return self._source.local_path(image.id)

    @contextmanager
    def _known(self) -> Iterator[None]:
        """A token that is no longer taken is renewed for the next try."""
        try:
            yield
        except Unauthenticated as error:
            self._forget_token()
            raise Unavailable("The image service did not take this host's token") from error


def _pieces(file: Path, over: Event) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            if over.is_set():
                raise Conflict("The upload is not wanted any more")
            yield piece
