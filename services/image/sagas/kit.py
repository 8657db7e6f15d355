"""What the steps of this service's sagas work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.bus.bus import Bus
from common.db.database import Database
from services.image.core.formats import Finding
from services.image.drivers.certificates.signatures import Certificates
from services.image.drivers.store.stores import Stores
from services.image.settings import ImageSettings


class Inspects(Protocol):
    """Says what a file is."""

    def inspect(self, path: Path, container: str | None = None) -> Finding: ...

    def wake(self) -> None:
        """An image comes that will have to be looked into."""


class Downloads(Protocol):
    """Gets bytes from the web."""

    def pieces(self, uri: str) -> Iterator[bytes]: ...


class Converts(Protocol):
    """Turns a disk image into one of another format."""

    def convert(
        self, source: Path, source_format: str, target: Path, target_format: str, tick: Callable[[int], None]
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    settings: ImageSettings
    database: Database
    stores: Stores
    inspector: Inspects
    downloads: Downloads
    converter: Converts
    certificates: Certificates | None  # None: signatures are not looked at
    bus: Bus
