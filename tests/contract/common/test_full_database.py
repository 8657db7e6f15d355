"""PostgreSQL whose disk is full, for real: work is refused plainly, and goes on when there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from sqlalchemy import text

from common.db.database import Database
from common.errors import Unavailable
from tests.conftest import missing
from tests.harness.clouds import run

MIB = 1 << 20


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """8 MiB that belong to PostgreSQL."""
    if os.geteuid() != 0:
        missing("root, who may mount a disk")
    place = Path(mkdtemp(prefix="pileus-small-"))
    place.chmod(0o711)
    disk = place / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={8 * MIB},mode=700", "small", str(disk))
    shutil.chown(disk, "postgres", "postgres")
    try:
        yield disk
    finally:
        run("umount", str(disk))
        shutil.rmtree(place)


@pytest.fixture
def database(postgresql_url: str, small_disk: Path) -> Iterator[Database]:
    opened = Database(postgresql_url)
    space = f"small_{small_disk.parent.name[-8:]}".lower()
    with opened.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE TABLESPACE {space} LOCATION '{small_disk}'"))
        connection.execute(text(f"CREATE TABLE things (name text, bulk text) TABLESPACE {space}"))
        connection.execute(text("ALTER TABLE things ALTER bulk SET STORAGE EXTERNAL"))  # not compressed
        yield opened
        connection.execute(text("DROP TABLE things"))
        connection.execute(text(f"DROP TABLESPACE {space}"))
    opened.close()


def add(database: Database, name: str, size: int) -> None:
    with database.transaction() as session:
        session.execute(text("INSERT INTO things VALUES (:name, repeat('x', :size))"), {"name": name, "size": size})


def test_a_full_disk_of_postgresql_is_told_plainly_keeps_nothing_and_work_goes_on_when_there_is_room(
    database: Database, small_disk: Path
) -> None:
    add(database, "first", MIB)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(5 * MIB))

    with pytest.raises(Unavailable, match="The disk of the database is full"):
        add(database, "too much", 4 * MIB)
    with database.reading() as session:
        meanwhile = session.scalars(text("SELECT name FROM things")).all()
    ballast.unlink()
    add(database, "second", MIB)

    with database.reading() as session:
        afterwards = session.scalars(text("SELECT name FROM things ORDER BY name")).all()
    assert (meanwhile, afterwards) == (["first"], ["first", "second"])
