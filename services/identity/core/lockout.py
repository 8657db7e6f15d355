"""How long a user has to wait after failed log-ins: nothing for the first few, then twice as long with each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Lockout:
    """The numbers come from the settings."""

    after: int
    first_s: float
    longest_s: float

    def wait(self, failures: int) -> timedelta:
        """From the latest of `failures` failures on."""
        if failures <= self.after:
            return timedelta(0)
        doublings = min(failures - self.after - 1, 62)
        return timedelta(seconds=min(self.first_s * 2**doublings, self.longest_s))

    def is_locked(self, *, failures: int, last_at: datetime, now: datetime) -> bool:
        """`now` may be a little before `last_at`, when several log-ins run at once."""
        return failures > self.after and now < last_at + self.wait(failures)
