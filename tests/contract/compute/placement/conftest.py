"""Placement's API on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.placement_api import Placement, a_placement


@pytest.fixture(params=["sqlite", "postgresql"])
def placement(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Placement]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/compute.sqlite"
    else:
        url = str(request.getfixturevalue("postgresql_url"))
    with a_placement(url) as made:
        yield made
