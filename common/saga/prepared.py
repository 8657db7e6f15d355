"""The statements that each step of each saga needs, built once: building costs more than running them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Insert,
    Select,
    Update,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from common.saga.tables import UNFINISHED, SagaTables


@dataclass(frozen=True, slots=True)
class Prepared:
    hold: Select[Any]  # :b_id, :b_generation -> is_cancelled
    start: Insert
    record: Update  # :b_id, :b_generation and the columns to set
    add_event: Insert
    end_event: Update  # :b_saga_id and the columns to set


@lru_cache
def prepared(tables: SagaTables) -> Prepared:
    sagas, events = tables.sagas.__table__, tables.events.__table__
    mine = (sagas.c.id == bindparam("b_id"), sagas.c.generation == bindparam("b_generation"))
    return Prepared(
        hold=select(sagas.c.is_cancelled).where(*mine, _one_of(sagas.c.state, UNFINISHED)).with_for_update(),
        start=insert(sagas),
        record=update(sagas).where(*mine),
        add_event=insert(events),
        end_event=update(events).where(events.c.saga_id == bindparam("b_saga_id"), events.c.ended_at.is_(None)),
    )


@lru_cache
def waiting(tables: SagaTables, kinds: tuple[str, ...]) -> Select[Any]:
    """When the next saga of these kinds that nobody holds is due, of those due after :after."""
    sagas = tables.sagas.__table__
    return select(func.min(sagas.c.due_at)).where(
        _one_of(sagas.c.state, UNFINISHED),
        _one_of(sagas.c.kind, kinds),
        sagas.c.claimed_by.is_(None),
        sagas.c.due_at > bindparam("after", type_=sagas.c.due_at.type),
    )


@lru_cache
def claiming(tables: SagaTables, kinds: tuple[str, ...]) -> Update:
    """Due sagas of these kinds, by :now, :most, :worker, :until -> whole rows."""
    sagas = tables.sagas.__table__
    one, older = sagas.alias("one"), sagas.alias("older")
    now = bindparam("now", type_=sagas.c.due_at.type)
    precedes = exists().where(
        older.c.resource_id == one.c.resource_id, older.c.number < one.c.number, _one_of(older.c.state, UNFINISHED)
    )
    due = (
        select(one.c.number)
        .where(
            _one_of(one.c.state, UNFINISHED),
            one.c.due_at <= now,
            _one_of(one.c.kind, kinds),
            or_(one.c.claimed_until.is_(None), one.c.claimed_until < now),
            ~precedes,
        )
        .order_by(one.c.due_at, one.c.number)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
        .cte("due")  # evaluated once: PostgreSQL might run a plain subquery again, and lock more than :most
    )
    return (
        update(sagas)
        .where(sagas.c.number.in_(select(due.c.number)))
        .values(
            claimed_by=bindparam("worker"),
            claimed_until=bindparam("until", type_=sagas.c.claimed_until.type),
            generation=sagas.c.generation + 1,
        )
        .returning(*sagas.c)
    )


def _one_of(column: Column[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """`in_` writes its list anew for each execution, since it might be another one."""
    return column.in_([literal(value) for value in values])
