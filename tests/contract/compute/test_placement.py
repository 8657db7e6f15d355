from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.db.database import Database
from services.compute.db.placement_tables import ProviderRow
from tests.harness.placement_contract import PlacementContract


class TestPlacementOnPostgresql(PlacementContract):
    @pytest.fixture
    def database(self, postgresql_url: str) -> Iterator[Database]:
        made = Database(postgresql_url, pool_size=20)
        ProviderRow.metadata.create_all(made.engine)
        yield made
        made.close()
