from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.image.drivers.inspect.inspector import Inspector
from tests.unit.image.world import World, a_world


@pytest.fixture(scope="session")
def inspector() -> Iterator[Inspector]:
    """The real one: its process starts with the first image."""
    made = Inspector(idle_s=30)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def world(tmp_path: Path, inspector: Inspector, database_url: str) -> Iterator[World]:
    with a_world(tmp_path, inspector, database_url=database_url) as made:
        yield made
