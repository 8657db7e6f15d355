"""Queries on what became of moves and resizes.  The caller commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from common.db.paging import Sort, after, in_order
from common.errors import InvalidInput
from services.compute.db.servers import as_uuid
from services.compute.db.tables import FlavorRow, HostRow, MigrationRow, ServerRow

RESIZE = "resize"
MIGRATING, FINISHED, CONFIRMED, REVERTED, ERROR = "migrating", "finished", "confirmed", "reverted", "error"
OPEN = (MIGRATING, FINISHED)
NEWEST_FIRST: Sequence[Sort] = ((MigrationRow.created_at, True), (MigrationRow.number, True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which of them; None: any."""

    host: str | None = None  # one that it comes from or goes to
    source: str | None = None
    server: str | None = None
    status: str | None = None
    kind: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    since: datetime | None = None
    before: datetime | None = None


class MigrationRecords:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # ------------------------------------------------------------------ for sagas

    def begin_resize(self, server: ServerRow, flavor: Mapping[str, Any], *, at: datetime) -> None:
        """One that was left open, as by a state set by hand, is over."""
        self.reached(server.id, ERROR, at=at)
        if server.host is None:
            return
        address = self._session.scalar(select(HostRow.facts).where(HostRow.name == server.host))
        row = MigrationRow(
            id=uuid4(),
            server_id=server.id,
            kind=RESIZE,
            status=MIGRATING,
            source=server.host,
            destination=server.host,
            destination_address=(address or {}).get("address"),
            old_flavor=self._number(server.flavor["id"]),
            new_flavor=self._number(flavor["id"]),
            project_id=server.project_id,
            user_id=server.user_id,
            created_at=at,
            updated_at=at,
        )
        self._session.add(row)

    def reached(self, server_id: UUID, status: str, *, at: datetime) -> None:
        """How the open one goes; without one there is nothing to note."""
        if (row := self._open(server_id)) is not None:
            row.status, row.updated_at = status, at

    def abandon(self, server_id: UUID, *, at: datetime) -> None:
        """The server is deleted: what it had become it was to the end."""
        if (row := self._open(server_id)) is not None:
            row.status, row.updated_at = CONFIRMED if row.status == FINISHED else ERROR, at

    def forget(self, before: datetime) -> None:
        """Those that are over since then."""
        is_over = MigrationRow.status.not_in(OPEN)
        self._session.execute(delete(MigrationRow).where(is_over, MigrationRow.updated_at < before))

    # ------------------------------------------------------------------ for lists

    def page(self, wanted: Wanted, *, marker: str | None = None, limit: int | None = None) -> Sequence[MigrationRow]:
        """Newest first.  InvalidInput for a marker that there is not"""
        query = select(MigrationRow).where(*_chosen(wanted))
        if marker is not None:
            at = self._session.scalar(select(MigrationRow).where(MigrationRow.id == as_uuid(marker)))
            if at is None:
                raise InvalidInput(f"Marker {marker[:64]} could not be found.")
            query = query.where(after(NEWEST_FIRST, (at.created_at, at.number)))
        return self._session.scalars(in_order(query, NEWEST_FIRST).limit(limit)).all()

    def of_server(self, server_id: UUID, number: str) -> MigrationRow | None:
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            return None
        mine = (MigrationRow.server_id == server_id, MigrationRow.number == int(number))
        return self._session.scalar(select(MigrationRow).where(*mine))

    def _open(self, server_id: UUID) -> MigrationRow | None:
        mine = (MigrationRow.server_id == server_id, MigrationRow.status.in_(OPEN))
        return self._session.scalar(select(MigrationRow).where(*mine).order_by(MigrationRow.number.desc()).limit(1))

    def _number(self, flavor_id: str) -> int:
        """0 if the flavor is gone."""
        return self._session.scalar(select(FlavorRow.number).where(FlavorRow.id == flavor_id)) or 0


def _chosen(wanted: Wanted) -> list[ColumnElement[bool]]:
    row, found = MigrationRow, []
    if wanted.host is not None:
        found.append(or_(row.source == wanted.host, row.destination == wanted.host))
    if wanted.server is not None:
        found.append(row.server_id == (as_uuid(wanted.server) or UUID(int=0)))
    equal = {row.source: wanted.source, row.status: wanted.status, row.kind: wanted.kind}
    equal |= {row.project_id: wanted.project_id, row.user_id: wanted.user_id}
    found += [column == value for column, value in equal.items() if value is not None]
    if wanted.since is not None:
        found.append(row.updated_at >= wanted.since)
    if wanted.before is not None:
        found.append(row.updated_at <= wanted.before)
    return found
