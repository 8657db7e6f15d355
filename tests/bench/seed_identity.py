"""Fill an identity database with a large cloud: 10 000 projects, 100 000 users, 1 000 000 role assignments.

    python -m tests.bench.seed_identity sqlite:///cloud/db/identity.db

The database must be bootstrapped.  All that is made lives in the domain `default` and has a name that begins with `seed-`; nobody
knows the users' passwords.  Takes about a minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.console import Console
from sqlalchemy import insert, select, text

from common.clock import utc_now
from common.db.database import Database
from services.identity.core.bootstrap import DEFAULT_DOMAIN
from services.identity.db.tables import Assignment, Group, IdentityTable, Membership, Project, Role, User

BATCH = 20_000
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each.  Every tenth project stands at the top, with nine below; every group has about a hundred members."""

    projects: int = 10_000
    users: int = 100_000
    assignments: int = 1_000_000

    @property
    def groups(self) -> int:
        return max(1, self.users // 100)


def seed(database: Database, size: Size) -> None:
    """Write all of it.  Not twice: names are taken once."""
    with database.reading() as session:
        member, reader = (
            session.scalars(select(Role.id).where(Role.name == name)).one() for name in ("member", "reader")
        )
    for table, rows in (
        (Project, _projects(size)),
        (User, _users(size)),
        (Group, _groups(size)),
        (Membership, _memberships(size)),
        (Assignment, _assignments(size, member, reader)),
    ):
        _write(database, table, rows)
    with database.transaction() as session:
        session.execute(text("ANALYZE"))


def _write(database: Database, table: type[IdentityTable], rows: Iterable[Row]) -> None:
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH)):
        with database.transaction() as session:
            session.execute(insert(table), batch)


def _id(kind: str, number: int) -> str:
    return f"seed{kind}{number:028x}"


def _projects(size: Size) -> Iterator[Row]:
    for number in range(size.projects):
        top = number - number % 10
        parent = DEFAULT_DOMAIN if number == top else _id("p", top)
        yield {
            "id": _id("p", number), "domain_id": DEFAULT_DOMAIN, "name": f"seed-project-{number}", "description": "",
            "enabled": True, "parent_id": parent, "options": {}, "extra": {},
        }  # fmt: skip


def _users(size: Size) -> Iterator[Row]:
    now = utc_now()
    for number in range(size.users):
        yield {
            "id": _id("u", number), "domain_id": DEFAULT_DOMAIN, "name": f"seed-user-{number}", "enabled": True,
            "must_change_password": False, "created_at": now, "options": {}, "extra": {"email": f"{number}@example.org"},
        }  # fmt: skip


def _groups(size: Size) -> Iterator[Row]:
    for number in range(size.groups):
        yield {
            "id": _id("g", number), "domain_id": DEFAULT_DOMAIN, "name": f"seed-group-{number}", "description": "",
            "extra": {},
        }  # fmt: skip


def _memberships(size: Size) -> Iterator[Row]:
    for number in range(size.users):
        yield {"group_id": _id("g", number % size.groups), "user_id": _id("u", number)}


def _assignments(size: Size, member: str, reader: str) -> Iterator[Row]:
    """First each group's two, one of them inherited from a project at the top; then as many of users as are left."""
    yield from (
        _assignment("group", _id("g", number), (number * 10) % size.projects, role, inherited=inherited)
        for number in range(size.groups)
        for role, inherited in ((member, True), (reader, False))
    )
    for number in range(size.assignments - 2 * size.groups):
        user, turn = number % size.users, number // size.users
        project = (user * 7 + turn * 997) % size.projects
        yield _assignment("user", _id("u", user), project, member if turn % 2 else reader, inherited=False)


def _assignment(actor: str, actor_id: str, project: int, role: str, *, inherited: bool) -> Row:
    return {
        "actor_id": actor_id, "actor": actor, "kind": "project", "target_id": _id("p", project), "role_id": role,
        "inherited": inherited,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database_url")
    database = Database(parser.parse_args().database_url)
    began = time.monotonic()
    seed(database, Size())
    database.close()
    Console().print(f"seeded in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
