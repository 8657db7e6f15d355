"""Queries on hosts and on the service's own processes: registered, heard of, up or down.  The caller commits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.compute.core.hardware.fitting import HostCell, lack
from services.compute.core.hardware.processors import Processors
from services.compute.core.hypervisors import IMAGE_ASKS, HostFacts, suits
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
        before: HostFacts | None = None
        if host is None:
            host = HostRow(id=uuid4(), name=facts.host)
            self._session.add(host)
        else:
            before = HostFacts.model_validate(host.facts)
        host.facts, host.registered_at = facts.model_dump(mode="json"), at
        self.seen(facts.host, COMPUTE, zone=zone, at=at)
        self._session.flush()
        Placement(self._session).offer(host.id, facts, ratios, before=before, at=at)
        return host.id

    def suiting(self, properties: Mapping[str, Any]) -> frozenset[str] | None:
        """Hosts where an image with these properties can run; None if it asks for nothing."""
        if not any(properties.get(name) for name in IMAGE_ASKS):
            return None
        rows = self._session.execute(select(HostRow.name, HostRow.facts))
        return frozenset(name for name, facts in rows if suits(facts, properties))

    def without_cells(self, processors: Processors) -> dict[str, str]:
        """Hosts that could not hold the NUMA cells of such a guest -> what they lack; nothing for a guest without any."""
        if not processors.cells:
            return {}
        rows = self._session.execute(select(HostRow.name, HostRow.facts))
        told = {name: [HostCell.model_validate(one) for one in facts.get("cells") or ()] for name, facts in rows}
        return {name: why for name, cells in told.items() if (why := lack(cells, processors)) is not None}

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
