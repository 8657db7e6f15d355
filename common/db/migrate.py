"""Bring a service's database to the newest schema, with the numbered migrations in its `db/migrations/`.

A service's `env.py` there is two lines: import `run_migrations` and call it.  Alembic is imported only when there is something
to migrate: it costs a process 11 MiB.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, MetaData, inspect, text

from common.db.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_ONE_AT_A_TIME = 7_065_117_301  # any number of ours: key of PostgreSQL's advisory lock while migrating


def alembic_config(package: str, metadata: MetaData, connection: Connection | None = None) -> Config:
    """Alembic set up for the migrations of `package`, for example `services.compute.db`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_of(package)))
    config.set_main_option("path_separator", "os")
    config.attributes |= {"metadata": metadata, "connection": connection}
    return config


def migrations_of(package: str) -> Path:
    return Path(str(importlib.resources.files(package))) / "migrations"


def upgrade(database: Database, package: str, metadata: MetaData) -> None:
    """Run the migrations that are still missing; processes that start together take turns."""
    if is_current(database, package):
        return
    from alembic import command

    with database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
        command.upgrade(alembic_config(package, metadata, connection), "head")


def is_current(database: Database, package: str) -> bool:
    """Whether the newest of the numbered migrations has run."""
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == newest(package))


def newest(package: str) -> str:
    """Number of the newest migration: its file is `<number>_<what>.py`, its revision the number."""
    return max(file.name.split("_")[0] for file in (migrations_of(package) / "versions").glob("[0-9]*.py"))


def drift(database: Database, metadata: MetaData) -> list[object]:
    """What differs between the tables in the code and the database: empty when each change has its migration."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, _as_in(database.engine.dialect.name, metadata)))


def _as_in(dialect: str, metadata: MetaData) -> MetaData:
    """The same tables without what databases of another kind have."""
    same = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        strange = {index.name for index in table.indexes if index.info.get("dialect", dialect) != dialect}
        copy = table.to_metadata(same)
        copy.indexes -= {index for index in copy.indexes if index.name in strange}
    return same


def run_migrations() -> None:
    """The body of every `env.py`."""
    from alembic import context

    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=context.config.attributes["metadata"],
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
