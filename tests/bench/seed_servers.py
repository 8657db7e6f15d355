"""Fill a compute database with servers that nobody runs: half of them in the project of one that is there, half in others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, text

from common.db.database import Database
from services.compute.db.tables import ServerRow

BATCH = 10_000
PROJECTS = 100


def seed(database: Database, count: int) -> None:
    """All are older than those that are there."""
    columns = list(ServerRow.__table__.columns)
    with database.reading() as session:
        one = session.execute(select(*columns).order_by(ServerRow.created_at).limit(1)).one()._asdict()
    waiting = _rows(one, count)
    while batch := list(islice(waiting, BATCH)):
        with database.transaction() as session:
            session.execute(insert(ServerRow), batch)
    with database.transaction() as session:
        session.execute(text("ANALYZE"))


def _rows(one: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    nowhere = {"vm_state": "stopped", "task_state": None, "power_state": 4, "host": None, "zone": None}
    for number in range(count):
        born = one["created_at"] - timedelta(seconds=number + 1)
        project = one["project_id"] if number % 2 else f"seed{number % PROJECTS:028x}"
        own = {"id": uuid4(), "name": f"seed-{number}", "project_id": project, "created_at": born, "updated_at": born}
        yield one | nowhere | own
