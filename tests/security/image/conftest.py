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


@pytest.fixture
def world(tmp_path: Path, inspector: Inspector) -> Iterator[World]:
    with a_world(tmp_path, inspector) as made:
        yield made
