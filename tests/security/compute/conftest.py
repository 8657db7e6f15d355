from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest

from tests.unit.compute.api.world import World, a_world


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and the flavor "1": 1 vCPU, 512 MiB, 1 GiB."""
    file = tmp_path_factory.mktemp("compute") / "template.sqlite"
    with a_world(f"sqlite:///{file}") as made:
        made.flavor()
    return file


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Iterator[World]:
    """SQLite, a copy of the template."""
    copyfile(template, tmp_path / "compute.sqlite")
    with a_world(f"sqlite:///{tmp_path}/compute.sqlite", is_new=False) as made:
        yield made
