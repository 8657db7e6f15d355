from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.db.database import Database
from tests.harness.saga_contract import SagaContract
from tests.harness.toys import ToyWorld


class TestSagasOnSqlite(SagaContract):
    @pytest.fixture
    def toys(self, tmp_path: Path) -> Iterator[ToyWorld]:
        database = Database(f"sqlite:///{tmp_path}/toys.sqlite", synchronous="OFF")
        yield ToyWorld(database)
        database.close()
