"""Queries on server groups and their members.  The caller commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from common.errors import InvalidInput, NotFound
from services.compute.core.server_groups import Company, GroupPolicy
from services.compute.db.servers import as_uuid
from services.compute.db.tables import ServerGroupMemberRow, ServerGroupRow, ServerRow

_G = ServerGroupRow
COLUMNS = (_G.number, _G.id, _G.project_id, _G.user_id, _G.name, _G.policy, _G.rules)


_GROUPS, _MEMBERS = ServerGroupRow.__table__.c, ServerGroupMemberRow.__table__.c
_GROUP_OF = (  # built once: each server that is placed needs it
    select(_GROUPS.id, _GROUPS.policy, _GROUPS.rules)
    .where(
        _GROUPS.id == select(_MEMBERS.group_id).where(_MEMBERS.server_id == bindparam("b_server_id")).scalar_subquery()
    )
    .with_for_update()
)


class ServerGroups:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, values: Mapping[str, Any]) -> None:
        self._session.execute(insert(ServerGroupRow), [dict(values)])

    def find(self, group_id: str, *, project_id: str | None) -> Row[Any]:
        """With a project, only if it is that project's.  NotFound"""
        query = select(*COLUMNS).where(ServerGroupRow.id == as_uuid(group_id))
        if project_id is not None:
            query = query.where(ServerGroupRow.project_id == project_id)
        row = self._session.execute(query).one_or_none() if as_uuid(group_id) else None
        if row is None:
            raise NotFound(f"Instance group {group_id[:64]} could not be found.")
        return row

    def page(self, *, project_id: str | None, marker: str | None, offset: int, limit: int) -> Sequence[Row[Any]]:
        """In the order in which they were made, after `marker` or, without one, `offset`; None: everybody's.  InvalidInput"""
        query = select(*COLUMNS).order_by(ServerGroupRow.number).limit(limit)
        if marker is None:
            query = query.offset(offset)
        else:
            query = query.where(ServerGroupRow.number > self._number(marker, project_id))
        if project_id is not None:
            query = query.where(ServerGroupRow.project_id == project_id)
        return self._session.execute(query).all()

    def _number(self, marker: str, project_id: str | None) -> int:
        """InvalidInput"""
        try:
            return int(self.find(marker, project_id=project_id).number)
        except NotFound as error:
            raise InvalidInput(f"marker [{marker}] not found") from error

    def members(self, group_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
        """Group -> ids of its servers that are not deleted."""
        row = ServerGroupMemberRow
        query = (
            select(row.group_id, row.server_id)
            .join(ServerRow, ServerRow.id == row.server_id)
            .where(row.group_id.in_(group_ids), ServerRow.deleted_at.is_(None))
            .order_by(ServerRow.created_at, ServerRow.id)
        )
        found: dict[UUID, list[str]] = {one: [] for one in group_ids}
        for group_id, server_id in self._session.execute(query):
            found[group_id].append(str(server_id))
        return found

    def remove(self, group_id: UUID) -> None:
        """Its servers stay."""
        self._session.execute(delete(ServerGroupRow).where(ServerGroupRow.id == group_id))

    def join(self, group_id: UUID, server_ids: Sequence[UUID]) -> None:
        self._session.execute(
            insert(ServerGroupMemberRow), [{"server_id": one, "group_id": group_id} for one in server_ids]
        )

    def of_servers(self, server_ids: Sequence[UUID]) -> dict[UUID, str]:
        """Server -> its group, of those that have one."""
        row = ServerGroupMemberRow
        query = select(row.server_id, row.group_id).where(row.server_id.in_(server_ids))
        return {server_id: str(group_id) for server_id, group_id in self._session.execute(query)}

    def company_of(self, server_id: UUID) -> Company | None:
        """The group of a server that is about to be placed; its others are not placed meanwhile."""
        found = self._session.connection().execute(_GROUP_OF, {"b_server_id": server_id})
        if (group := found.one_or_none()) is None:
            return None
        counted = (
            select(ServerRow.host, func.count())
            .join(ServerGroupMemberRow, ServerGroupMemberRow.server_id == ServerRow.id)
            .where(
                ServerGroupMemberRow.group_id == group.id,
                ServerRow.id != server_id,
                ServerRow.host.is_not(None),
                ServerRow.deleted_at.is_(None),
            )
            .group_by(ServerRow.host)
        )
        servers = {str(host): count for host, count in self._session.execute(counted)}
        return Company(GroupPolicy(group.policy), servers, int(group.rules.get("max_server_per_host", 1)))
