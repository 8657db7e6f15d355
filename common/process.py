"""A part of the platform that a process can run: a service's API, a worker, an agent.

Each service's `main.py` builds its parts from settings; `pileus up` runs all of them in one process, `pileus serve` some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp

from common.bus.bus import Bus
from common.http.inprocess import Inside
from common.settings import PlatformSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a part is built from besides its own settings."""

    platform: PlatformSettings
    settings_file: Path | None
    bus: Bus
    inside: Inside | None = None  # the other services of this process; None: they are reached over the network


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Built, not yet running.  `start` returns at once; `stop` finishes or hands back what the part holds."""

    name: str  # "identity", "image", "compute-api", "placement-api", "compute-console", "compute-worker", "agent", "gateway"
    app: ASGIApp | None = None  # what it answers over HTTP
    listen: str | None = None  # HOST:PORT of that when it runs as a process of its own
    takes_sockets: bool = False  # whether it answers websockets as well
    starts: Sequence[Callable[[], None]] = field(default_factory=tuple)
    stops: Sequence[Callable[[], None]] = field(default_factory=tuple)  # in this order

    def start(self) -> None:
        for start in self.starts:
            start()

    def stop(self) -> None:
        for stop in self.stops:
            stop()
