"""What the image service needs of a place that keeps images' bytes, whatever kind of place it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol
from uuid import UUID

from common.errors import NotFound, Unavailable

MISSING = "The image's bytes are not in the store"
BROKEN = "The image store does not work"
FULL = "Image storage media is full: the image does not fit into the store"

Keep = Callable[[], None]
"""Makes the bytes that were brought the image's."""


class Reading(Protocol):
    """An open image, read from its first wanted byte on."""

    def piece(self, size: int) -> bytes:
        """The next `size` bytes at most, never none.  PlatformError if there are fewer than there should be"""
        ...

    def close(self) -> None: ...


class Living(Protocol):
    """Tells what in a store belongs to something (`db`)."""

    def uploads(self, ids: Collection[UUID]) -> set[UUID]:
        """Those of these uploads and imports that go on."""
        ...

    def images(self, ids: Collection[UUID]) -> set[UUID]:
        """Those of these images whose bytes belong here, or may do so in a moment."""
        ...

    def arriving(self, ids: Collection[UUID]) -> set[UUID]:
        """Those of these images that an upload or import is under way for."""
        ...


class Store(Protocol):
    """Thread-safe; several processes may share one.  Every method is safe to repeat."""

    kind: str  # as clients are told: "file", "s3"
    keeps_at_once: bool  # whether a `Keep` is so quick that it belongs into the transaction; else it comes before it

    def bring(self, source: Path, image_id: UUID, upload_id: UUID, *, given: bool, heard: Callable[[], None]) -> Keep:
        """Bring the bytes of a file here, unseen still; begun again, it begins anew.  TooLarge, Unavailable

        A `given` file may be moved instead of copied.  `heard` is called while it goes on.
        """
        ...

    def discard(self, upload_id: UUID) -> None:
        """Forget what this upload brought and nobody kept."""
        ...

    def holds(self, image_id: UUID) -> bool: ...

    def open(self, image_id: UUID, first: int, end: int) -> Reading:
        """The bytes from `first` up to `end`.  NotFound, Unavailable"""
        ...

    def local(self, image_id: UUID) -> Path | None:
        """The file that holds the bytes, if this machine has one."""
        ...

    def url(self, image_id: UUID) -> str:
        """Where the bytes lie: for services, never for people."""
        ...

    def remove(self, image_id: UUID) -> None: ...

    def sweep(self, living: Living, *, older_than_s: float) -> int:
        """Remove what belongs to nothing; how much that was."""
        ...

    def probe(self) -> None:
        """Unavailable unless bytes can be stored."""
        ...


def missing() -> NotFound:
    return NotFound(MISSING)


def broken(why: str) -> Unavailable:
    """`why` is for the log: a kind of error, never an address or a name of ours."""
    return Unavailable(BROKEN, why=why)
