"""`make migration SERVICE=compute NAME="add a table"`: the next numbered migration, from what the code's tables have changed."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from sqlalchemy import MetaData

from common.db.database import Database
from common.db.migrate import alembic_config, migrations_of, newest, upgrade

TABLES = {  # the modules that declare them, and their common root
    "identity": (("tables", "delegation_tables", "cloud_tables"), "IdentityTable"),
    "image": (("tables", "metadata_tables"), "ImageTable"),
    "compute": (("tables", "placement_tables"), "ComputeTable"),
}


def main(service: str, name: str) -> str:
    """Path of the new file.  Read and correct it: what Alembic finds by itself is a draft."""
    package, metadata = f"services.{service}.db", tables_of(service)
    number = f"{int(newest(package)) + 1:04}"
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/now.db")
        upgrade(database, package, metadata)
        with database.engine.begin() as connection:
            config = alembic_config(package, metadata, connection)
            config.set_main_option("file_template", f"{number}_%%(slug)s")
            command.revision(config, message=name, autogenerate=True, rev_id=number)
        database.close()
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return str(next((migrations_of(package) / "versions").glob(f"{number}_{slug[:40]}*.py"), Path(number)))


def tables_of(service: str) -> MetaData:
    modules, root = TABLES[service]
    first, *_ = [importlib.import_module(f"services.{service}.db.{name}") for name in modules]
    metadata = getattr(first, root).metadata
    assert isinstance(metadata, MetaData)
    return metadata


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in TABLES or not sys.argv[2]:
        sys.exit(f'usage: make migration SERVICE={"|".join(TABLES)} NAME="what changes"')
    sys.stdout.write(main(*sys.argv[1:]) + "\n")
