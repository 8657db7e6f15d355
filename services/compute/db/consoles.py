"""Queries on console tokens, and on whether the guests that consoles show are still there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.orm import Session

from services.compute.core.consoles import UNLESS_TOLD
from services.compute.db.tables import ConsoleTokenRow, HostRow, ServerRow

Grant = Row[Any]
"""server_id, host, launched_at, kind, console_type, caller."""

_T = ConsoleTokenRow
_GRANT = (_T.server_id, _T.host, _T.launched_at, _T.kind, _T.console_type, _T.caller)


class Consoles:
    """Within one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: Mapping[str, Any]) -> None:
        self._session.execute(insert(ConsoleTokenRow), [dict(row)])

    def find(self, token_hash: str, at: datetime) -> Grant | None:
        """What the token is good for, if it is good for anything yet."""
        good = (_T.token_hash == token_hash, _T.used_at.is_(None), _T.expires_at > at)
        return self._session.execute(select(*_GRANT).where(*good)).one_or_none()

    def redeem(self, token_hash: str, at: datetime) -> Grant | None:
        """The same, and from now on it is good for nothing: of several who come at once, one gets it."""
        good = (_T.token_hash == token_hash, _T.used_at.is_(None), _T.expires_at > at)
        return self._session.execute(
            update(ConsoleTokenRow).where(*good).values(used_at=at).returning(*_GRANT)
        ).one_or_none()

    def forget(self, before: datetime) -> None:
        """Tokens whose time was over before that."""
        self._session.execute(delete(ConsoleTokenRow).where(_T.expires_at < before))

    def of_host(self, name: str) -> Collection[str]:
        """Kinds of consoles that guests there get."""
        facts: Mapping[str, Any] = self._session.scalar(select(HostRow.facts).where(HostRow.name == name)) or {}
        return list(facts.get("consoles", UNLESS_TOLD))

    def guests(self, server_ids: Collection[UUID]) -> dict[UUID, tuple[str | None, datetime | None]]:
        """Server -> its host and since when its guest is, of those that exist."""
        query = select(ServerRow.id, ServerRow.host, ServerRow.launched_at)
        query = query.where(ServerRow.id.in_(server_ids), ServerRow.deleted_at.is_(None))
        return {row.id: (row.host, row.launched_at) for row in self._session.execute(query)}
