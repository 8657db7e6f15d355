"""What the steps of this service's sagas work with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.bus.bus import Bus
from common.db.database import Database
from services.image.core.formats import Finding
from services.image.drivers.store.stores import Stores
from services.image.settings import ImageSettings


class Inspects(Protocol):
    """Says what a file is."""

    def inspect(self, path: Path) -> Finding: ...


class Downloads(Protocol):
    """Gets bytes from the web."""

    def pieces(self, uri: str) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    settings: ImageSettings
    database: Database
    stores: Stores
    inspector: Inspects
    downloads: Downloads
    bus: Bus
