"""Queries on the processes of the compute service: what os-services, zones and a server's host_status show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.errors import NotFound
from services.compute.db.servers import as_uuid
from services.compute.db.tables import ServiceRow

COMPUTE = "nova-compute"
_S = ServiceRow
COLUMNS: tuple[InstrumentedAttribute[Any], ...] = (
    _S.number, _S.id, _S.host, _S.binary, _S.zone, _S.is_disabled, _S.disabled_reason, _S.is_forced_down, _S.seen_at,
)  # fmt: skip


class Services:
    """Within one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def listed(self, *, host: str | None = None, binary: str | None = None) -> Sequence[Row[Any]]:
        """In the order in which they were first seen."""
        query = select(*COLUMNS).order_by(ServiceRow.number)
        if host is not None:
            query = query.where(ServiceRow.host == host)
        if binary is not None:
            query = query.where(ServiceRow.binary == binary)
        return self._session.execute(query).all()

    def of_hosts(self, hosts: Sequence[str]) -> dict[str, Row[Any]]:
        """Host -> its compute service."""
        query = select(*COLUMNS).where(ServiceRow.binary == COMPUTE, ServiceRow.host.in_(hosts))
        return {row.host: row for row in self._session.execute(query)} if hosts else {}

    def find(self, service_id: str) -> Row[Any]:
        """NotFound"""
        known = as_uuid(service_id)
        row = self._session.execute(select(*COLUMNS).where(ServiceRow.id == known)).one_or_none() if known else None
        if row is None:
            raise NotFound(f"Service {service_id} could not be found.")
        return row

    def named(self, host: str, binary: str) -> Row[Any]:
        """NotFound"""
        if not (rows := self.listed(host=host, binary=binary)):
            raise NotFound(f"Could not find binary {binary} on host {host}.")
        return rows[0]

    def change(self, service_id: UUID, **values: Any) -> None:
        self._session.execute(update(ServiceRow).where(ServiceRow.id == service_id).values(**values))

    def remove(self, service_id: UUID) -> None:
        self._session.execute(delete(ServiceRow).where(ServiceRow.id == service_id))


def is_up(service: Any, now: datetime, *, down_s: float) -> bool:
    """Heard of lately, and nobody said otherwise."""
    return not service.is_forced_down and now - service.seen_at <= timedelta(seconds=down_s)
