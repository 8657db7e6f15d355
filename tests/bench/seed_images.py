"""Fill an image database with a large cloud: 100 000 images of 1 000 projects, with properties, tags and members.

    python -m tests.bench.seed_images sqlite:///cloud/db/image.db OWNER

Half of the images are OWNER's, a hundredth is public, as many are community images or shared with OWNER.  They have no bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import insert, text

from common.clock import utc_now
from common.db.database import Database
from services.image.db.tables import ImageRow, ImageTable, MemberRow, PropertyRow, TagRow

BATCH = 10_000
SPACE = UUID("5ee0d1e5-0000-4000-8000-000000000000")
FORMATS = ("qcow2", "raw", "iso", "vmdk")
Row = dict[str, Any]


def seed(database: Database, owner: str, count: int) -> None:
    """Write them all.  Not twice: ids are taken once."""
    for table, rows in (
        (ImageRow, _images(owner, count)),
        (PropertyRow, _properties(count)),
        (TagRow, _tags(count)),
        (MemberRow, _members(owner, count)),
    ):
        _write(database, table, rows)
    if not database.is_sqlite:  # PostgreSQL does so by itself in time
        with database.transaction() as session:
            session.execute(text("ANALYZE"))


def image_id_of(number: int) -> UUID:
    return uuid5(SPACE, str(number))


def _images(owner: str, count: int) -> Iterator[Row]:
    end = utc_now()
    for number in range(count):
        at = end - timedelta(seconds=count - number)
        yield {
            "id": image_id_of(number), "name": f"seed-{number * 7919 % count:06}",
            "status": "active" if number % 10 else "queued",
            "owner": owner if number % 2 else f"{number % 1000:032x}", "visibility": _visibility(number),
            "protected": False, "os_hidden": number % 50 == 7, "disk_format": FORMATS[number % 4], "container_format": "bare",
            "min_disk": number % 20, "min_ram": 0, "size": number * 104729 % 10_000_000, "virtual_size": 0,
            "checksum": f"{number:032x}", "os_hash_value": f"{number:0128x}", "created_at": at, "updated_at": at,
            "claimed_bytes": 0,
        }  # fmt: skip


def _visibility(number: int) -> str:
    return {0: "public", 2: "community", 4: "shared"}.get(number % 100, "private")


def _properties(count: int) -> Iterator[Row]:
    for number in range(count):
        for name, value in (("os_distro", f"distro-{number % 7}"), ("hw_disk_bus", "virtio"), ("serial", str(number))):
            yield {"image_id": image_id_of(number), "name": name, "value": value, "start": value}


def _tags(count: int) -> Iterator[Row]:
    for number in range(count):
        yield {"image_id": image_id_of(number), "value": "common"}
        if number % 1000 == 1:
            yield {"image_id": image_id_of(number), "value": "rare"}


def _members(owner: str, count: int) -> Iterator[Row]:
    now = utc_now()
    for number in range(4, count, 100):
        yield {
            "image_id": image_id_of(number), "member_id": owner, "status": "accepted", "created_at": now, "updated_at": now,
        }  # fmt: skip


def _write(database: Database, table: type[ImageTable], rows: Iterable[Row]) -> None:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        with database.transaction() as session:
            session.execute(insert(table), batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("owner")
    options = parser.parse_args()
    seed(Database(options.database), options.owner, 100_000)


if __name__ == "__main__":
    main()
