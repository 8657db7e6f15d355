"""SQLite behaves towards the code above as PostgreSQL does: one writer at a time, consistent reads, nothing half done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from common.db.counting import counted
from common.db.database import Database
from common.db.paging import after, in_order
from common.db.types import Table
from common.errors import Unavailable


class Base(Table):
    __abstract__ = True


class Thing(Base):
    __tablename__ = "things"

    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    made_at: Mapped[datetime | None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        session.add(Thing(number=1))
        session.flush()
        raise ZeroDivisionError

    with database.reading() as session:
        assert session.scalars(select(Thing)).all() == []


def test_writers_take_turns_and_none_is_lost(database: Database) -> None:
    with database.transaction() as session:
        session.add(Thing(number=1, name="0"))

    def count_up() -> None:
        for _ in range(25):
            with database.transaction() as session:
                thing = session.get_one(Thing, 1)
                thing.name = str(int(thing.name or 0) + 1)

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as session:
        assert session.get_one(Thing, 1).name == "200"


def test_a_reading_is_one_snapshot(database: Database) -> None:
    with database.reading() as session:
        before = session.scalars(select(Thing.number)).all()
        with database.transaction() as writing:
            writing.add(Thing(number=7))
        after_ = session.scalars(select(Thing.number)).all()

    assert before == after_ == []


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with database.transaction() as session:
        session.add(Thing(number=1, made_at=noon))

    with database.reading() as session:
        made_at = session.get_one(Thing, 1).made_at

    assert made_at == noon
    assert made_at is not None
    assert made_at.tzinfo is UTC


def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        Database("sqlite:////nowhere/at/all.db").ping()


@pytest.mark.parametrize("descends", [True, False])
def test_pages_by_key_meet_every_row_once_in_order(database: Database, descends: bool) -> None:
    names = ["b", None, "a", "b", None, "c", "a"]
    with database.transaction() as session:
        session.add_all(Thing(number=number, name=name) for number, name in enumerate(names))
    sorts = [(Thing.name, descends), (Thing.number, descends)]
    seen: list[tuple[str | None, int]] = []

    with database.reading() as session:
        while True:
            query = in_order(select(Thing.name, Thing.number), sorts).limit(2)
            if seen:
                query = query.where(after(sorts, seen[-1]))
            page = [(name, number) for name, number in session.execute(query)]
            if not page:
                break
            seen += page

    by_key = sorted(((name or "", number) for number, name in enumerate(names)), reverse=descends)
    assert [(name or "", number) for name, number in seen] == by_key


def test_statements_are_counted(database: Database) -> None:
    with counted(database) as sent, database.reading() as session:
        session.scalars(select(Thing)).all()
        session.scalars(select(Thing)).all()

    assert len(sent) == 2
