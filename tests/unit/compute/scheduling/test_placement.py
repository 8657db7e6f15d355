from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.db.database import Database
from services.compute.db.placement_tables import ProviderRow
from tests.harness.placement_contract import PlacementContract


class TestPlacementOnSqlite(PlacementContract):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        made = Database(f"sqlite:///{tmp_path}/compute.sqlite", synchronous="OFF", pool_size=20)
        ProviderRow.metadata.create_all(made.engine)
        yield made
        made.close()
