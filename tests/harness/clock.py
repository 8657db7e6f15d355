"""A clock that tests turn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from common.clock import utc_now


class Clock:
    """Stands still until it is advanced; then whoever asked is told."""

    def __init__(self) -> None:
        self._now = utc_now()
        self.listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        for listener in self.listeners:
            listener()
