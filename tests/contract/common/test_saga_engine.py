from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.db.database import Database
from tests.harness.saga_contract import SagaContract
from tests.harness.toys import ToyWorld


class TestSagasOnPostgresql(SagaContract):
    @pytest.fixture
    def toys(self, postgresql_url: str) -> Iterator[ToyWorld]:
        database = Database(postgresql_url)
        yield ToyWorld(database)
        database.close()
