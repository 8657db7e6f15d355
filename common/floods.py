"""Keeps floods out of logs: of many alike lines some are written, and the next one says how many were left out."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass


@dataclass(slots=True)
class Flood:
    """Lets `burst` pass at once and `per_s` more with each second.  For one thread, an event loop's for example."""

    burst: float = 100
    per_s: float = 10
    _passed: float = 0.0  # of those that still count, as of `_at`
    _at: float = 0.0
    _left_out: int = 0

    def passes(self, now_s: float | None = None) -> bool:
        """Whether this one may pass; it is counted either way."""
        now = time.monotonic() if now_s is None else now_s
        self._passed, self._at = max(0.0, self._passed - (now - self._at) * self.per_s), now
        if self._passed + 1 > self.burst:
            self._left_out += 1
            return False
        self._passed += 1
        return True

    def facts(self) -> dict[str, int]:
        """For a line that passes: how many did not since the last one.  They are told once."""
        left_out, self._left_out = self._left_out, 0
        return {"left_out": left_out} if left_out else {}


class Calm(logging.Filter):
    """Holds a logger of somebody else's to the same, where each line stands for something that a stranger did."""

    def __init__(self) -> None:
        super().__init__()
        self._flood = Flood()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        if passes := self._flood.passes():
            vars(record).update(self._flood.facts())
        return passes
