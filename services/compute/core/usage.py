"""How long servers were there within a period, and what they took of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.compute.core.states import VmState


@dataclass(frozen=True, slots=True)
class Period:
    start: datetime
    end: datetime

    def hours(self, launched_at: datetime, terminated_at: datetime | None) -> float:
        """Of the server's life, what lies within."""
        begun, ended = max(launched_at, self.start), min(terminated_at or self.end, self.end)
        return max((ended - begun).total_seconds(), 0.0) / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUsage:
    """One server's; `uptime_s` is of its whole life."""

    id: str
    project_id: str
    name: str
    state: str
    flavor: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    launched_at: datetime
    terminated_at: datetime | None
    hours: float
    uptime_s: int


def usage_of(row: Any, period: Period, now: datetime) -> ServerUsage:
    """From a server's row, in whatever table."""
    flavor: Mapping[str, Any] = row.flavor
    return ServerUsage(
        id=str(row.id),
        project_id=row.project_id,
        name=row.name,
        state="terminated" if row.terminated_at or row.vm_state == VmState.DELETED else row.vm_state,
        flavor=flavor["name"],
        vcpus=int(flavor["vcpus"]),
        memory_mib=int(flavor["memory_mib"]),
        disk_gib=int(flavor["root_gib"]) + int(flavor.get("ephemeral_gib") or 0),
        launched_at=row.launched_at,
        terminated_at=row.terminated_at,
        hours=period.hours(row.launched_at, row.terminated_at),
        uptime_s=int(((row.terminated_at or now) - row.launched_at).total_seconds()),
    )
