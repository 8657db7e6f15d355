from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest

from common.db.database import Database
from services.compute.db.placement_tables import ProviderRow
from tests.harness.compute import ComputeWorld


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables and nothing in them; tests work on copies."""
    file = tmp_path_factory.mktemp("sagas") / "compute.sqlite"
    database = Database(f"sqlite:///{file}", synchronous="OFF")
    ProviderRow.metadata.create_all(database.engine)
    database.close()
    return file


@pytest.fixture
def world(tables: Path, tmp_path: Path) -> Iterator[ComputeWorld]:
    database = Database(f"sqlite:///{copyfile(tables, tmp_path / 'compute.sqlite')}", synchronous="OFF")
    made = ComputeWorld(tmp_path, database)
    yield made
    made.close()
