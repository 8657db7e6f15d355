"""The statements that each step of each saga needs, built once: building costs more than running them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Insert, Select, Table, Update, bindparam, exists, insert, or_, select, update

from common.saga.tables import UNFINISHED, SagaTables


@dataclass(frozen=True, slots=True)
class Prepared:
    claim: Update  # :now, :kinds, :most, :worker, :until -> whole rows
    hold: Select[Any]  # :b_id, :b_generation -> is_cancelled
    record: Update  # :b_id, :b_generation and the columns to set
    add_event: Insert
    end_event: Update  # :b_saga_id and the columns to set


@lru_cache
def prepared(tables: SagaTables) -> Prepared:
    sagas, events = tables.sagas.__table__, tables.events.__table__
    mine = (sagas.c.id == bindparam("b_id"), sagas.c.generation == bindparam("b_generation"))
    return Prepared(
        claim=_claim(sagas),
        hold=select(sagas.c.is_cancelled).where(*mine, sagas.c.state.in_(UNFINISHED)).with_for_update(),
        record=update(sagas).where(*mine),
        add_event=insert(events),
        end_event=update(events).where(events.c.saga_id == bindparam("b_saga_id"), events.c.ended_at.is_(None)),
    )


def _claim(sagas: Table) -> Update:
    one, older = sagas.alias("one"), sagas.alias("older")
    now = bindparam("now", type_=sagas.c.due_at.type)
    precedes = exists().where(
        older.c.resource_id == one.c.resource_id, older.c.number < one.c.number, older.c.state.in_(UNFINISHED)
    )
    due = (
        select(one.c.number)
        .where(
            one.c.state.in_(UNFINISHED),
            one.c.due_at <= now,
            one.c.kind.in_(bindparam("kinds", expanding=True)),
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
