from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.compute.api.world import World, a_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """SQLite, with the flavor "1": 1 vCPU, 512 MiB, 1 GiB."""
    with a_world(f"sqlite:///{tmp_path}/compute.sqlite") as made:
        made.flavor()
        yield made
