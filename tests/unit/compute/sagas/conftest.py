from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.db.database import Database
from services.compute.db.placement_tables import ProviderRow
from tests.harness.compute import ComputeWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ComputeWorld]:
    database = Database(f"sqlite:///{tmp_path}/compute.sqlite", synchronous="OFF")
    ProviderRow.metadata.create_all(database.engine)
    made = ComputeWorld(tmp_path, database)
    yield made
    made.close()
