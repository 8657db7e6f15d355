"""Queries on hosts as os-hypervisors shows them: what they have and how much of it is held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, func, select
from sqlalchemy.orm import Session

from common.errors import InvalidInput, NotFound
from services.compute.core.patterns import ESCAPE
from services.compute.db.placement_tables import InventoryRow
from services.compute.db.servers import as_uuid
from services.compute.db.services import COMPUTE
from services.compute.db.tables import HostRow, ServerRow, ServiceRow


@dataclass(frozen=True, slots=True)
class Use:
    """Of one host: resource class -> total, and -> used; running servers."""

    total: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    servers: int = 0


class Hypervisors:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(
        self, *, containing: str | None = None, marker: str | None = None, by_uuid: bool = True, limit: int
    ) -> Sequence[Row[Any]]:
        """Hosts in the order in which they joined, each with its service."""
        conditions: list[ColumnElement[bool]] = []
        if containing is not None:
            text = containing.replace(ESCAPE, ESCAPE * 2).replace("%", ESCAPE + "%").replace("_", ESCAPE + "_")
            conditions.append(HostRow.name.ilike(f"%{text}%", escape=ESCAPE))
        if marker is not None:
            conditions.append(HostRow.number > self._marker(marker, by_uuid=by_uuid))
        return self._session.execute(_hosts().where(*conditions).order_by(HostRow.number).limit(limit)).all()

    def find(self, hypervisor_id: str, *, by_uuid: bool) -> Row[Any]:
        """NotFound"""
        row = None
        if by_uuid and (known := as_uuid(hypervisor_id)) is not None:
            row = self._session.execute(_hosts().where(HostRow.id == known)).one_or_none()
        elif not by_uuid and hypervisor_id.isascii() and hypervisor_id.isdigit() and len(hypervisor_id) < 10:
            row = self._session.execute(_hosts().where(HostRow.number == int(hypervisor_id))).one_or_none()
        if row is None:
            raise NotFound(f"Hypervisor with ID '{hypervisor_id}' could not be found.")
        return row

    def named(self, host: str) -> Row[Any] | None:
        """The host of this name, if there is one."""
        return self._session.execute(_hosts().where(HostRow.name == host)).one_or_none()

    def promised(self, host: str) -> dict[str, dict[str, int]]:
        """Project -> resource class -> how much the flavors of its servers here have."""
        query = select(ServerRow.project_id, ServerRow.flavor).where(
            ServerRow.host == host, ServerRow.deleted_at.is_(None)
        )
        found: dict[str, dict[str, int]] = {}
        for project_id, flavor in self._session.execute(query):
            mine = found.setdefault(project_id, {"VCPU": 0, "MEMORY_MB": 0, "DISK_GB": 0})
            mine["VCPU"] += flavor["vcpus"]
            mine["MEMORY_MB"] += flavor["memory_mib"]
            mine["DISK_GB"] += flavor["root_gib"] + flavor.get("ephemeral_gib", 0)
        return found

    def use_of(self, hosts: Sequence[Row[Any]]) -> dict[UUID, Use]:
        """Host id -> its inventory and what is held of it: two queries, however many hosts."""
        ids, names = [host.id for host in hosts], [host.name for host in hosts]
        counted = (
            select(ServerRow.host, func.count().label("servers"))
            .where(ServerRow.host.in_(names), ServerRow.deleted_at.is_(None))
            .group_by(ServerRow.host)
        )
        servers = {row.host: row.servers for row in self._session.execute(counted)}
        totals: dict[UUID, dict[str, int]] = defaultdict(dict)
        used: dict[UUID, dict[str, int]] = defaultdict(dict)
        inventories = select(
            InventoryRow.provider_id, InventoryRow.resource_class, InventoryRow.total, InventoryRow.used
        ).where(InventoryRow.provider_id.in_(ids))
        for row in self._session.execute(inventories):
            totals[row.provider_id][row.resource_class] = row.total
            used[row.provider_id][row.resource_class] = row.used
        return {host.id: Use(totals[host.id], used[host.id], servers.get(host.name, 0)) for host in hosts}

    def _marker(self, marker: str, *, by_uuid: bool) -> int:
        try:
            return int(self.find(marker, by_uuid=by_uuid).number)
        except NotFound as error:
            raise InvalidInput(f"marker [{marker}] not found") from error


def _hosts() -> Any:
    mine = and_(ServiceRow.host == HostRow.name, ServiceRow.binary == COMPUTE)
    return select(
        HostRow.number, HostRow.id, HostRow.name, HostRow.facts,
        ServiceRow.number.label("service_number"), ServiceRow.id.label("service_id"), ServiceRow.is_disabled,
        ServiceRow.disabled_reason, ServiceRow.is_forced_down, ServiceRow.seen_at,
    ).join(ServiceRow, mine)  # fmt: skip
