"""Queries on what servers took over time, deleted ones included; those whose rows are gone as well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, literal, null, select
from sqlalchemy.orm import Session

from common.db.paging import after
from common.errors import InvalidInput
from services.compute.core.states import VmState
from services.compute.db.servers import as_uuid
from services.compute.db.tables import PastServerRow, ServerRow

COLUMNS = ("id", "project_id", "name", "vm_state", "flavor", "launched_at", "terminated_at")


class Usage:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(
        self, start: datetime, end: datetime, *, project_id: str | None, marker: str | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Servers that were there between the two, by project and id.  InvalidInput for a marker that is none."""
        seen = None if marker is None else self._marker(marker)
        found = [
            row for table in (ServerRow, PastServerRow) for row in self._of(table, start, end, project_id, seen, limit)
        ]
        return sorted(found, key=lambda row: (row.project_id, row.id.bytes))[:limit]

    def _of(
        self, table: Any, start: datetime, end: datetime, project_id: str | None, seen: Any, limit: int
    ) -> Sequence[Row[Any]]:
        query: Select[Any] = select(
            table.id,
            table.project_id,
            table.name,
            table.vm_state if table is ServerRow else literal(str(VmState.DELETED)).label("vm_state"),
            table.flavor,
            table.launched_at,
            table.terminated_at,
        ).where(table.launched_at < end, (table.terminated_at == null()) | (table.terminated_at > start))
        if project_id is not None:
            query = query.where(table.project_id == project_id)
        if seen is not None:
            query = query.where(after([(table.project_id, False), (table.id, False)], seen))
        return self._session.execute(query.order_by(table.project_id, table.id).limit(limit)).all()

    def _marker(self, marker: str) -> tuple[str, UUID]:
        known = as_uuid(marker)
        for table in (ServerRow, PastServerRow):
            query = select(table.project_id, table.id).where(table.id == known)
            if known and (row := self._session.execute(query).one_or_none()):
                return row.project_id, row.id
        raise InvalidInput(f"marker [{marker[:64]}] not found")
