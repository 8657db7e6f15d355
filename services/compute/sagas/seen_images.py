"""What hosts said a moment ago of the images in their caches: many servers at once are mostly of few images."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.compute.core.guests import GuestImage

KNOWN_FOR = timedelta(seconds=10)  # a host that lost it meanwhile fetches it again with the guest
MOST = 10_000


@dataclass(slots=True)
class SeenImages:
    """One worker's memory.  Thread-safe: each of its steps is one of a dictionary's own."""

    _until: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def note(self, image: GuestImage, host: str, *, at: datetime) -> None:
        """The host has it now."""
        if len(self._until) >= MOST:
            self._until = {}
        self._until[host, image.sha512] = at + KNOWN_FOR

    def has(self, image: GuestImage, host: str, *, at: datetime) -> bool:
        """Whether the host said so a moment ago."""
        until = self._until.get((host, image.sha512))
        return until is not None and at < until
