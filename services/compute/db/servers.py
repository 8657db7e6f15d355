"""Queries on servers: one, locked or looked at.  Lists are in `server_lists.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.clock import utc_now
from common.errors import NotFound
from services.compute.db.tables import ServerRow

Server = Row[Any]
"""The columns asked for, by name."""

_R = ServerRow
DETAIL: tuple[InstrumentedAttribute[Any], ...] = (
    _R.id, _R.project_id, _R.user_id, _R.name, _R.hostname, _R.description,
    _R.vm_state, _R.task_state, _R.power_state, _R.fault,
    _R.image_id, _R.image, _R.flavor, _R.key_name, _R.user_data, _R.has_config_drive,
    _R.attributes, _R.tags, _R.disk_config, _R.access_ipv4, _R.access_ipv6, _R.is_locked, _R.locked_reason,
    _R.wanted_zone, _R.hints, _R.host, _R.zone, _R.reservation_id, _R.launch_index,
    _R.created_at, _R.updated_at, _R.launched_at, _R.terminated_at,
)  # fmt: skip
"""What a detailed answer is made of."""

STATE: tuple[InstrumentedAttribute[Any], ...] = (
    _R.id, _R.project_id, _R.user_id, _R.name, _R.vm_state, _R.task_state, _R.host, _R.zone, _R.wanted_zone,
    _R.attributes, _R.tags, _R.is_locked, _R.locked_by, _R.launched_at, _R.before, _R.flavor, _R.image, _R.image_id,
    _R.local_disks,
)  # fmt: skip
"""What decides whether something may be done."""

_ADD = insert(ServerRow)  # built once: each new server needs it


class Servers:
    """Within one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(
        self,
        server_id: str | UUID,
        *,
        project_id: str | None,
        columns: Sequence[InstrumentedAttribute[Any]] = DETAIL,
        with_deleted: bool = False,
    ) -> Server:
        """The server; with a project, only if it is that project's.  NotFound, in the same words for both."""
        return self._one(server_id, project_id, columns, with_deleted=with_deleted, for_update=False)

    def locked(self, server_id: str | UUID, *, project_id: str | None) -> Server:
        """Its STATE; nobody else changes it until the transaction ends.  NotFound"""
        return self._one(server_id, project_id, STATE, with_deleted=False, for_update=True)

    def _one(
        self,
        server_id: str | UUID,
        project_id: str | None,
        columns: Sequence[InstrumentedAttribute[Any]],
        *,
        with_deleted: bool,
        for_update: bool,
    ) -> Server:
        if (known := as_uuid(server_id)) is None:
            raise not_found(server_id)
        query = select(*columns).where(ServerRow.id == known)
        if project_id is not None:
            query = query.where(ServerRow.project_id == project_id)
        if not with_deleted:
            query = query.where(ServerRow.deleted_at.is_(None))
        row = self._session.execute(query.with_for_update() if for_update else query).one_or_none()
        if row is None:
            raise not_found(server_id)
        return row

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._session.connection().execute(_ADD, [dict(row) for row in rows])

    def change(self, server_id: UUID, **values: Any) -> None:
        self._session.execute(update(ServerRow).where(ServerRow.id == server_id).values(updated_at=utc_now(), **values))

    def hosts_of(self, server_ids: Collection[UUID]) -> dict[UUID, str | None]:
        """Server -> its host, of those that exist; None: it has none yet."""
        query = select(ServerRow.id, ServerRow.host).where(ServerRow.id.in_(server_ids), ServerRow.deleted_at.is_(None))
        return {row.id: row.host for row in self._session.execute(query)}

    def on_hosts(self, hosts: Sequence[str]) -> Sequence[Row[Any]]:
        """(host, id, name, vm_state) of the servers on these hosts."""
        columns: tuple[InstrumentedAttribute[Any], ...] = (_R.host, _R.id, _R.name, _R.vm_state)
        query = select(*columns).where(ServerRow.host.in_(hosts), ServerRow.deleted_at.is_(None))
        return self._session.execute(query.order_by(ServerRow.created_at, ServerRow.id)).all()


def as_uuid(given: str | UUID) -> UUID | None:
    """An id, if it is written as one."""
    if isinstance(given, UUID):
        return given
    try:
        found = UUID(given)
    except ValueError:
        return None
    return found if given.lower() in (str(found), found.hex) else None


def not_found(server_id: object) -> NotFound:
    return NotFound(f"Instance {server_id} could not be found.")
