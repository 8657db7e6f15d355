"""How many failed log-ins one address may make: enough for an office behind one address, too few for guessing."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

REMEMBERED = 10_000


@dataclass(slots=True)
class Sources:
    """Buckets of failures, one for each address.  `burst` at once, `per_s` more with each second.  Thread-safe.

    A success costs nothing, so whoever types well is never in the way of a neighbour's typing badly until the bucket is empty.
    Each identity process has its own: an attacker gains at most as many bursts as there are processes.
    """

    burst: float
    per_s: float
    _spent: dict[str, tuple[float, float]] = field(default_factory=dict)  # address -> failures that count, as of when
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, source: str, now_s: float) -> float:
        """Seconds until the next log-in is looked at; 0: now."""
        return max(0.0, (self._counted(source, now_s) + 1 - self.burst) / self.per_s)

    def failed(self, source: str, now_s: float) -> None:
        with self._lock:
            if len(self._spent) >= REMEMBERED:
                self._spent = {one: spent for one, spent in self._spent.items() if self._counted(one, now_s) > 0}
            if len(self._spent) >= REMEMBERED:
                self._spent.pop(next(iter(self._spent)))
            self._spent[source] = (self._counted(source, now_s) + 1, now_s)

    def _counted(self, source: str, now_s: float) -> float:
        failures, at = self._spent.get(source, (0.0, now_s))
        return max(0.0, failures - (now_s - at) * self.per_s)
