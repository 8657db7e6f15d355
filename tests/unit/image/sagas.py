"""The image service as the saga harness sees it: rows and files agree, and nothing is left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from common.db.database import Database
from common.errors import PlatformError
from common.saga.tables import SagaTables
from services.image.api.receiving import sweep
from services.image.core.images import WITH_BYTES, Status
from services.image.db.tables import SAGAS, ImageRow, ImageSaga, PlaceRow, StagedRow, TaskRow
from services.image.drivers.store.files import FileStore
from services.image.sagas.kit import Kit
from tests.harness.clock import Clock
from tests.unit.image.world import World


@dataclass
class Web:
    """What a download gives; nobody answers where nothing stands."""

    data: bytes = b""

    def pieces(self, uri: str) -> Iterator[bytes]:
        if not self.data:
            raise PlatformError("The server there answered 404")
        return (self.data[at : at + 1000] for at in range(0, len(self.data), 1000))


class Rewriter:
    """Stands for QEMU: other bytes, without the time that it takes."""

    def convert(
        self, source: Path, source_format: str, target: Path, target_format: str, tick: Callable[[int], None]
    ) -> None:
        tick(0)
        target.write_bytes(converted(source.read_bytes()))
        tick(100)


def converted(data: bytes) -> bytes:
    return data[::-1]


@dataclass
class ImageWorld:
    """Satisfies the harness's `World`."""

    inner: World
    kit: Kit
    tables: SagaTables = SAGAS
    refuses_who_was_overtaken: bool = False
    clock: Clock = field(default_factory=Clock)
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.database = self.inner.kit.database

    def begun(self, image_id: str, method: str, **more: Any) -> UUID:
        """The saga of an import that the API has taken; nobody works on it yet."""
        answer = self.inner.begin_import(image_id, method, self.inner.admin, **more)
        assert answer.status_code == 202, answer.text
        with self.database.reading() as session:
            return session.scalars(select(ImageSaga.id).where(ImageSaga.resource_id == UUID(image_id))).one()

    def reconcile(self) -> None:
        sweep(self.inner.kit)

    def disagreements(self) -> list[str]:
        with self.database.reading() as session:
            images = {row.id: row.status for row in session.execute(select(ImageRow.id, ImageRow.status))}
            places = {(row.store, row.image_id) for row in session.scalars(select(PlaceRow))}
            staged = set(session.scalars(select(StagedRow.image_id)))
            claims = {row.id: row.claimed_bytes for row in session.execute(select(ImageRow.id, ImageRow.claimed_bytes))}
            tasks = set(session.scalars(select(TaskRow.status)))
        directories = {name: store.directory for name, store in self.inner.kit.stores if isinstance(store, FileStore)}
        found = {
            (name, UUID(one.name)) for name, path in directories.items() for one in path.iterdir() if one.is_file()
        }
        arriving = [one.name for path in directories.values() for one in (path / "arriving").iterdir()]
        waiting = set(self.inner.kit.store.staged(older_than_s=0))
        wrong = [f"in the rows only: {places - found}, in the stores only: {found - places}"] if places != found else []
        wrong += [f"arriving still: {arriving}"] if arriving else []
        wrong += [f"staged in the rows: {staged}, on the disk: {waiting}"] if staged != waiting else []
        wrong += [f"{one} is {status}" for one, status in images.items() if status not in (*WITH_BYTES, Status.QUEUED)]
        wrong += [
            f"{one} holds {claims[one]} bytes" for one, status in images.items() if status == "queued" and claims[one]
        ]
        return wrong + [f"a task is {status}" for status in tasks if status not in ("success", "failure")]
