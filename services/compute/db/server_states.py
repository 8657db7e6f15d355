"""What sagas and the worker read and write of servers.  The API's queries are in `servers.py`.  The caller commits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from common.errors import NotFound
from common.saga.tables import UNFINISHED
from services.compute.core.states import VmState
from services.compute.db.tables import SAGAS, PastServerRow, ServerGroupMemberRow, ServerRow

# Built once: building costs more than running them.
_S = ServerRow.__table__.c
_LOCKED = (
    select(ServerRow)
    .where(ServerRow.id == bindparam("b_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_BUSY = (
    select(_S.host, func.count())
    .where(
        _S.host.in_(bindparam("hosts", expanding=True)),
        _S.deleted_at.is_(None),
        _S.task_state.is_not(None),
    )
    .group_by(_S.host)
)


class ServerStates:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, server_id: UUID) -> ServerRow:
        """Also a deleted one.  NotFound"""
        row = self._session.get(ServerRow, server_id)
        if row is None:
            raise NotFound(f"Instance {server_id} could not be found.")
        return row

    def locked(self, server_id: UUID) -> ServerRow:
        """The same, kept from others until the commit.  NotFound"""
        row = self._session.scalars(_LOCKED, {"b_id": server_id}).one_or_none()
        if row is None:
            raise NotFound(f"Instance {server_id} could not be found.")
        return row

    def change(self, server_id: UUID, at: datetime, **values: Any) -> ServerRow:
        """Set columns; the row.  NotFound"""
        return self.assign(self.locked(server_id), at, **values)

    def assign(self, server: ServerRow, at: datetime, **values: Any) -> ServerRow:
        """The same of a row that is locked already."""
        for name, value in values.items():
            setattr(server, name, value)
        server.updated_at = at
        return server

    def busy_on(self, hosts: Collection[str]) -> dict[str, int]:
        """Host -> how many of its servers undergo something."""
        return {str(host): count for host, count in self._session.connection().execute(_BUSY, {"hosts": list(hosts)})}

    def hosts_of(self, server_ids: Collection[UUID], *, project_id: str) -> set[str]:
        """Where these servers of one project are."""
        mine = (ServerRow.id.in_(server_ids), ServerRow.project_id == project_id, ServerRow.host.is_not(None))
        return {host for host in self._session.scalars(select(ServerRow.host).where(*mine)) if host}

    def on_host(self, host: str) -> Sequence[ServerRow]:
        """The servers that belong on this host, kept from others until the commit."""
        mine = (ServerRow.host == host, ServerRow.deleted_at.is_(None))
        return self._session.scalars(select(ServerRow).where(*mine).with_for_update()).all()

    def on(self, host: str, server_id: UUID) -> ServerRow | None:
        """The server, kept from others, if it belongs on this host."""
        mine = (ServerRow.id == server_id, ServerRow.host == host, ServerRow.deleted_at.is_(None))
        return self._session.scalar(select(ServerRow).where(*mine).with_for_update())

    def find(self, server_id: UUID) -> ServerRow | None:
        """The server, kept from others, unless it is deleted."""
        mine = (ServerRow.id == server_id, ServerRow.deleted_at.is_(None))
        return self._session.scalar(select(ServerRow).where(*mine).with_for_update())

    def existing(self, server_ids: Collection[UUID]) -> set[UUID]:
        """Those of them that are servers, or were."""
        return set(self._session.scalars(select(ServerRow.id).where(ServerRow.id.in_(server_ids))))

    def all_ids(self) -> Select[Any]:
        """Query of all servers that are not deleted."""
        return select(ServerRow.id).where(ServerRow.deleted_at.is_(None))

    def with_saga(self, server_ids: Collection[UUID]) -> set[UUID]:
        """Those of them that a saga is at work on."""
        saga = SAGAS.sagas
        return set(
            self._session.scalars(
                select(saga.resource_id).where(saga.resource_id.in_(server_ids), saga.state.in_(UNFINISHED))
            )
        )

    def abandoned(self, *, before: datetime) -> Sequence[ServerRow]:
        """Servers shown as undergoing something that no saga is doing."""
        saga = SAGAS.sagas
        at_work = select(saga.resource_id).where(saga.state.in_(UNFINISHED))
        query = select(ServerRow).where(
            ServerRow.deleted_at.is_(None),
            (ServerRow.task_state.is_not(None)) | (ServerRow.vm_state == VmState.BUILDING),
            ServerRow.updated_at < before,
            ServerRow.id.not_in(at_work),
        )
        return self._session.scalars(query).all()

    def waiting(self, vm_state: VmState, *, before: datetime) -> Sequence[ServerRow]:
        """Servers that nothing is done to and that have been in this state since before then, kept from others."""
        query = select(ServerRow).where(
            ServerRow.vm_state == vm_state, ServerRow.waits_since < before, ServerRow.task_state.is_(None)
        )
        return self._session.scalars(query.with_for_update()).all()

    def forget(self, before: datetime, *, most: int = 1000) -> int:
        """Drop the rows of servers that were deleted before then; what usage reports need of them stays."""
        old = list(self._session.scalars(select(ServerRow.id).where(ServerRow.deleted_at < before).limit(most)))
        kept = ("id", "project_id", "name", "flavor", "launched_at", "terminated_at")
        ran = select(*(getattr(ServerRow, name) for name in kept)).where(
            ServerRow.id.in_(old), ServerRow.launched_at.is_not(None), ServerRow.terminated_at.is_not(None)
        )
        self._session.execute(insert(PastServerRow).from_select(kept, ran))
        self._session.execute(delete(ServerGroupMemberRow).where(ServerGroupMemberRow.server_id.in_(old)))
        self._session.execute(delete(ServerRow).where(ServerRow.id.in_(old)))
        return len(old)

    def forget_usage(self, before: datetime) -> None:
        """Drop what was kept of servers that ended before then."""
        self._session.execute(delete(PastServerRow).where(PastServerRow.terminated_at < before))
