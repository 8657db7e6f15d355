"""Each change of a table has its numbered migration, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import MetaData

from common.db.database import Database
from common.db.migrate import drift, is_current, migrations_of, newest, upgrade
from deploy.new_migration import TABLES, tables_of

SERVICES = {f"services.{name}.db": tables_of(name) for name in TABLES}


@pytest.mark.parametrize(("package", "metadata"), SERVICES.items())
def test_the_migrations_make_exactly_the_tables_in_the_code(tmp_path: Path, package: str, metadata: MetaData) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")

    upgrade(database, package, metadata)

    assert drift(database, metadata) == []
    assert is_current(database, package)
    upgrade(database, package, metadata)
    database.close()


@pytest.mark.parametrize("package", SERVICES)
def test_migrations_are_numbered_without_gaps_and_named_after_their_number(package: str) -> None:
    files = sorted(file.name for file in (migrations_of(package) / "versions").glob("[0-9]*.py"))

    assert [name.split("_")[0] for name in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert newest(package) == files[-1][:4]
