"""Queries on hosts and on the service's own processes: registered, heard of, up or down.  The caller commits."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios
from services.compute.db.fitting_hosts import COMPUTE
from services.compute.db.placement import Placement
from services.compute.db.tables import HostRow, ServiceRow


class Hosts:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(self, facts: HostFacts, *, zone: str, ratios: Ratios, at: datetime) -> UUID:
        """Note the host and what it has; its id, the same each time.  `zone` is for one that is new."""
        host = self._session.scalar(select(HostRow).where(HostRow.name == facts.host).with_for_update())
        before: list[str] = []
        if host is None:
            host = HostRow(id=uuid4(), name=facts.host)
            self._session.add(host)
        else:
            before = list(host.facts.get("traits", ()))
        host.facts, host.registered_at = facts.model_dump(mode="json"), at
        self.seen(facts.host, COMPUTE, zone=zone, at=at)
        self._session.flush()
        Placement(self._session).offer(host.id, facts, ratios, before=before, at=at)
        return host.id

    def alive(self, name: str, *, at: datetime) -> bool:
        """Note a heartbeat; False if the host is not registered."""
        mine = (ServiceRow.host == name, ServiceRow.binary == COMPUTE)
        found = self._session.scalar(
            select(HostRow.number).join(ServiceRow, ServiceRow.host == HostRow.name).where(*mine)
        )
        if found is None:
            return False
        self._session.execute(update(ServiceRow).where(*mine, ServiceRow.seen_at < at).values(seen_at=at))
        return True

    def seen(self, host: str, binary: str, *, zone: str, at: datetime) -> None:
        """Note that a process of ours is there."""
        mine = (ServiceRow.host == host, ServiceRow.binary == binary)
        row = self._session.scalar(select(ServiceRow).where(*mine))
        if row is None:
            row = ServiceRow(id=uuid4(), host=host, binary=binary, zone=zone, created_at=at)
            self._session.add(row)
        row.seen_at = at

    def is_up(self, name: str, *, seen_after: datetime) -> bool:
        """Whether its agent was heard of since then, and nobody said that it is down."""
        query = select(ServiceRow.number).where(
            ServiceRow.host == name,
            ServiceRow.binary == COMPUTE,
            ServiceRow.is_forced_down.is_(False),
            ServiceRow.seen_at > seen_after,
        )
        return self._session.scalar(query) is not None
