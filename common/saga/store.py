"""Queries on sagas: started and cancelled by routes, claimed and recorded by the engine.  The caller commits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy import CursorResult, and_, delete, event, func, insert, or_, select, update
from sqlalchemy.orm import Session

from common import log as ids
from common.clock import utc_now
from common.saga.prepared import claiming, prepared, waiting
from common.saga.saga import Saga
from common.saga.tables import UNFINISHED, SagaState, SagaTables

UNREAD_FOR = timedelta(seconds=60)  # long enough for a worker of another release that can read it to come back


class Sagas:
    """The sagas of one service, within one session.  `hint` is told after a commit that made work."""

    def __init__(self, session: Session, tables: SagaTables, *, hint: Callable[[], None] = lambda: None) -> None:
        self._session, self._hint = session, hint
        self._sagas, self._events = tables.sagas, tables.events
        self._tables, self._prepared = tables, prepared(tables)

    def start(
        self,
        saga: Saga[Any],
        params: BaseModel,
        *,
        resource_id: UUID,
        project_id: str | None,
        user_id: str | None,
        at: datetime | None = None,
        due_at: datetime | None = None,
    ) -> UUID:
        """Write the saga down; its work starts after the commit, or then, unless it is withdrawn before."""
        now, saga_id = at or utc_now(), uuid4()
        due = due_at or now
        row = {
            "id": saga_id,
            "kind": saga.name,
            "action": saga.action,
            "resource_id": resource_id,
            "project_id": project_id,
            "user_id": user_id,
            "request_id": ids.request_id.get(),
            "params": params.model_dump(mode="json"),
            "results": {},
            "excluded": [],
            "due_at": due,
            "deadline_at": due + timedelta(seconds=saga.timeout_s),
            "created_at": now,
            "updated_at": now,
        }
        self._session.connection().execute(self._prepared.start, row)
        event.listen(self._session, "after_commit", lambda _: self._hint(), once=True)
        return saga_id

    def withdraw(self, saga_id: UUID) -> bool:
        """Take back one that nobody has begun; False if somebody has."""
        untouched = and_(self._sagas.id == saga_id, self._sagas.state == SagaState.RUNNING, self._sagas.generation == 0)
        return self._changed(delete(self._sagas).where(untouched)) == 1

    def cancel(self, resource_id: UUID) -> int:
        """Have what still runs for this resource undone, now; how many that are."""
        mine = and_(self._sagas.resource_id == resource_id, self._sagas.state.in_(UNFINISHED))
        return self._changed(update(self._sagas).where(mine).values(is_cancelled=True, due_at=utc_now()))

    def unfinished(self, resource_id: UUID) -> list[str]:
        """Kinds of what still runs for this resource, oldest first."""
        query = select(self._sagas.kind).where(
            self._sagas.resource_id == resource_id, self._sagas.state.in_(UNFINISHED)
        )
        return list(self._session.scalars(query.order_by(self._sagas.number)))

    def of_resource(self, resource_id: UUID, *, request_id: str | None = None) -> Sequence[Any]:
        """Rows of a resource's timeline, newest first."""
        query = select(self._sagas).where(self._sagas.resource_id == resource_id, self._sagas.action != "")
        if request_id is not None:
            query = query.where(self._sagas.request_id == request_id)
        return self._session.scalars(query.order_by(self._sagas.number.desc())).all()

    def last_end(self, resource_id: UUID, actions: Collection[str]) -> datetime | None:
        """When one of these was done to the resource, last."""
        mine = (self._sagas.resource_id == resource_id, self._sagas.action.in_(actions))
        return self._session.scalar(select(func.max(self._sagas.finished_at)).where(*mine))

    def events_of(self, saga_ids: Iterable[UUID]) -> Sequence[Any]:
        """What happened in these sagas, oldest first."""
        query = select(self._events).where(self._events.saga_id.in_(list(saga_ids)))
        return self._session.scalars(query.order_by(self._events.number)).all()

    def stuck(self, now: datetime) -> Sequence[Any]:
        """Unfinished past their deadline: something can't be undone, and a person should look."""
        query = select(self._sagas).where(self._sagas.state.in_(UNFINISHED), self._sagas.deadline_at < now)
        return self._session.scalars(query.order_by(self._sagas.number)).all()

    def forget(self, before: datetime, *, most: int = 1000) -> int:
        """Drop finished sagas, and their events, that ended before then."""
        old = select(self._sagas.id).where(self._sagas.state.not_in(UNFINISHED), self._sagas.finished_at < before)
        gone = list(self._session.scalars(old.limit(most)))
        self._session.execute(delete(self._events).where(self._events.saga_id.in_(gone)))
        return self._changed(delete(self._sagas).where(self._sagas.id.in_(gone)))

    # ------------------------------------------------------------------ for the engine

    def claim(self, *, worker: str, kinds: tuple[str, ...], now: datetime, lease_s: float, most: int) -> Sequence[Any]:
        """Take up to `most` due sagas for `worker`, those due longest first: none that somebody holds, and none that an
        older one of its resource precedes."""
        until = now + timedelta(seconds=lease_s)
        asked = {"now": now, "most": most, "worker": worker, "until": until}
        rows = self._session.connection().execute(claiming(self._tables, kinds), asked).all()
        return sorted(rows, key=lambda row: (row.due_at, row.number))

    def next_due(self, kinds: tuple[str, ...], *, after: datetime) -> datetime | None:
        """When the next saga that nobody works on is due, of those that are not yet."""
        found: datetime | None = (
            self._session.connection().execute(waiting(self._tables, kinds), {"after": after}).scalar()
        )
        return found

    def overdue(self, now: datetime, *, beside: Sequence[str], alone: bool = False) -> Sequence[Any]:
        """Sagas of other kinds than these that nobody holds, and that are cancelled or should have ended by now.

        `alone`: kept from others until the commit.
        """
        saga = self._sagas
        query = select(saga).where(
            saga.state.in_(UNFINISHED),
            saga.kind.not_in(beside),
            saga.due_at < now - UNREAD_FOR,
            or_(saga.claimed_until.is_(None), saga.claimed_until < now),
            or_(saga.is_cancelled, saga.deadline_at < now),
        )
        query = query.order_by(saga.number)
        return self._session.scalars(query.with_for_update(skip_locked=True) if alone else query).all()

    def give_up(self, saga_id: UUID, why: str, now: datetime) -> None:
        """End a saga that nobody can read."""
        self.end_event(saga_id, ended_at=now, succeeded=False, message=why)
        told = {"saga_id": saga_id, "step": "read", "is_undo": False, "began_at": now, "ended_at": now}
        self._session.execute(insert(self._events), [told | {"succeeded": False, "message": why}])
        changes = {"state": SagaState.FAILED, "error": why, "finished_at": now, "updated_at": now}
        free = {"claimed_by": None, "claimed_until": None}
        self._session.execute(update(self._sagas).where(self._sagas.id == saga_id).values(**changes, **free))

    def renew(self, saga_ids: Sequence[UUID], *, worker: str, until: datetime) -> None:
        """Keep the lease on what is under way."""
        held = and_(self._sagas.id.in_(saga_ids), self._sagas.claimed_by == worker)
        self._session.execute(update(self._sagas).where(held).values(claimed_until=until))

    def release(self, *, worker: str | None) -> int:
        """Hand back what `worker` holds; with None everything, which only the sole process of a cloud may do."""
        held = self._sagas.claimed_by.is_not(None) if worker is None else self._sagas.claimed_by == worker
        return self._changed(update(self._sagas).where(held).values(claimed_by=None, claimed_until=None))

    def record(self, saga_id: UUID, generation: int, now: datetime, **changes: Any) -> bool:
        """Write how far the saga got; False if another worker has it by now."""
        mine = {"b_id": saga_id, "b_generation": generation}
        done = self._session.connection().execute(self._prepared.record, mine | {"updated_at": now} | changes)
        return done.rowcount == 1

    def hold(self, saga_id: UUID, generation: int) -> bool | None:
        """Keep others from claiming it until the commit; whether it is cancelled, None if another worker has it."""
        mine = {"b_id": saga_id, "b_generation": generation}
        held = self._session.connection().execute(self._prepared.hold, mine).scalar()
        return None if held is None else bool(held)

    def note(
        self,
        action: str,
        *,
        resource_id: UUID,
        project_id: str | None,
        user_id: str | None,
        step: str,
        at: datetime,
        host: str | None = None,
        message: str | None = None,
        succeeded: bool = True,
    ) -> None:
        """Put something that happened by itself into the resource's timeline: a saga that is over already."""
        saga_id = uuid4()
        row = {
            "id": saga_id,
            "kind": "noted",
            "action": action,
            "resource_id": resource_id,
            "project_id": project_id,
            "user_id": user_id,
            "request_id": ids.request_id.get() or ids.new_request_id(),
            "params": {},
            "state": SagaState.DONE,
            "results": {},
            "excluded": [],
            "due_at": at,
            "deadline_at": at,
            "created_at": at,
            "updated_at": at,
            "finished_at": at,
        }
        self._session.execute(insert(self._sagas), [row])
        done = {"saga_id": saga_id, "step": step, "began_at": at, "ended_at": at, "succeeded": succeeded}
        self._session.execute(insert(self._events), [done | {"host": host, "message": message}])

    def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Note steps that have begun, or are over already: each with the same columns."""
        if events:
            self._session.connection().execute(self._prepared.add_event, events)

    def end_event(self, saga_id: UUID, **outcome: Any) -> None:
        """Note how the step that is under way ended."""
        self._session.connection().execute(self._prepared.end_event, {"b_saga_id": saga_id} | outcome)

    def _changed(self, statement: Any) -> int:
        result = self._session.execute(statement)
        assert isinstance(result, CursorResult)
        return result.rowcount
