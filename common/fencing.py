"""Who may still act: each claim of a piece of work is numbered, and whoever acts for it carries its number along.

A worker that stood still for long (its machine was paused, its process stopped) goes on where it was, although another may
have taken over its work and undone it.  Whoever is asked to do something heeds nobody that comes after a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import NamedTuple

from common.errors import Conflict

KEEP_S = 1000.0  # longer than any call may wait before it is begun: what is older is refused for its deadline


class Fence(NamedTuple):
    """Compares: the greater one is the newer one."""

    work: int  # grows from one piece of work on the same thing to the next
    claim: int  # grows each time that somebody takes the work over


fence: ContextVar[Fence | None] = ContextVar("fence", default=None)
"""For what this thread acts; None: for nothing that could be taken over."""

begin_before: ContextVar[datetime | None] = ContextVar("begin_before", default=None)
"""Nobody is to begin, from then on, with what this thread asks for: by then others may have given it up."""


@dataclass(slots=True)
class Fences:
    """The newest one that was seen for each key, while older ones may still come."""

    now: Callable[[], float] = monotonic
    _newest: dict[Hashable, tuple[Fence, float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def must_be_newest(self, key: Hashable) -> None:
        """Note what this thread acts for.  Conflict if somebody newer was here"""
        mine = fence.get()
        if mine is None:
            return
        with self._lock:
            self._forget()
            newest, _ = self._newest.pop(key, (mine, 0.0))
            self._newest[key] = max(mine, newest), self.now()  # in the order of their last use
        if mine < newest:
            raise Conflict("Another worker has gone on with this meanwhile")

    def _forget(self) -> None:
        before = self.now() - KEEP_S
        while self._newest and (oldest := next(iter(self._newest))) and self._newest[oldest][1] < before:
            del self._newest[oldest]
