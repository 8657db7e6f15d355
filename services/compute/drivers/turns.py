"""One at a time per key, and no waiting between different keys."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Condition


class Turns:
    def __init__(self) -> None:
        self._taken: set[Hashable] = set()
        self._changed = Condition()

    @contextmanager
    def of(self, key: Hashable) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: key not in self._taken)
            self._taken.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._taken.discard(key)
                self._changed.notify_all()
