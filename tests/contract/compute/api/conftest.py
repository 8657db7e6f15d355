from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.compute.api.world import World, a_world


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both databases are first-class: what holds on one holds on the other."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/compute.sqlite"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with a_world(database_url) as made:
        made.flavor()
        yield made
