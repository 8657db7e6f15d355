"""Images for one host's guests: from the cache, filled from the image service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from common.errors import Unauthenticated, Unavailable
from services.compute.core.guests import GuestImage
from services.compute.drivers.images import ImageCache


class ImageSource(Protocol):
    """What is needed of the image service (`services.image.client.ImageClient`)."""

    def download(self, image_id: UUID) -> AbstractContextManager[Iterator[bytes]]: ...

    def local_path(self, image_id: UUID) -> Path | None: ...


class HostImages:
    """The cache of one host, or of all simulated ones of a process.  Thread-safe."""

    def __init__(
        self, cache: ImageCache, source: ImageSource, *, forget_token: Callable[[], None], max_bytes: int
    ) -> None:
        self._cache, self._source, self._forget_token, self._max_bytes = cache, source, forget_token, max_bytes

    def ensure(self, image: GuestImage) -> Path:
        """The image's file on this host, checked.  HostFailed, Unavailable, NotFound, PlatformError"""
        local = None if self.has(image) else self._local(image)
        return self._cache.ensure(image, lambda: self._bytes(image), local=local)

    def has(self, image: GuestImage) -> bool:
        """Whether it would not have to be fetched."""
        return (self._cache.directory / image.sha512).exists()

    def prune(self, in_use: Set[str]) -> list[str]:
        """Make room, leaving what guests read; hashes of what went."""
        return self._cache.prune(in_use, max_bytes=self._max_bytes)

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
