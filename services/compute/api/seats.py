"""Requests whose answer takes its time: a few at once, since each holds a thread that others could use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore


class Seats:
    def __init__(self, count: int) -> None:
        self._free = BoundedSemaphore(count)

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether there was one left; it is the caller's until the end of the block."""
        has_place = self._free.acquire(blocking=False)
        try:
            yield has_place
        finally:
            if has_place:
                self._free.release()
