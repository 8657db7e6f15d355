"""A server's row as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha224
from typing import Any
from uuid import UUID

from common.auth.callers import Caller
from common.clock import utc_now
from services.compute.api import links
from services.compute.api.kit import Kit, Tx
from services.compute.api.versions import SERVER
from services.compute.core.hardware.devices import root_device
from services.compute.core.states import status_of
from services.compute.db.servers import Server
from services.compute.db.services import is_up

FAULTY = ("ERROR", "DELETED")
PROGRESSING = ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING")
SEEN_BY = (
    "os_compute_api:servers:show:host_status",
    "os_compute_api:servers:show:flavor-extra-specs",
    "os_compute_api:os-extended-server-attributes",
)
"""Rules that decide how much of a server a caller sees."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one caller sees servers: at which version, and what else than everybody."""

    url: str
    version: int
    sees_attributes: bool  # OS-EXT-SRV-ATTR
    sees_details: bool  # of faults
    sees_extra_specs: bool  # of the flavor
    host_statuses: Mapping[str, str] | None  # None: not for this caller
    groups: Mapping[UUID, str]  # server -> its group


def look_at(kit: Kit, tx: Tx, caller: Caller, version: int, rows: Sequence[Server], *, alone: bool = False) -> Look:
    """One query more for those who may see how the hosts are; another for a server that is shown alone."""
    statuses = None
    if version >= 16 and kit.allows("servers:show:host_status", caller):
        statuses = _host_statuses(kit, tx, rows)
    sees = kit.allows("os-extended-server-attributes", caller)
    sees_extra_specs = kit.allows("servers:show:flavor-extra-specs", caller)
    groups = tx.server_groups.of_servers([row.id for row in rows]) if alone and version >= 71 else {}
    return Look(kit.url, version, sees, caller.is_admin, sees_extra_specs, statuses, groups)


def named(row: Any, url: str) -> dict[str, Any]:
    """The short form of lists."""
    return {"id": str(row.id), "name": row.name, "links": links.of(url, "servers", row.id)}


def shown(row: Server, look: Look, *, alone: bool = False) -> dict[str, Any]:
    """The whole server; `alone`: with what lists leave out."""
    server_id, status = str(row.id), status_of(row.vm_state, row.task_state)
    server: dict[str, Any] = {
        "id": server_id,
        "name": row.name,
        "status": status,
        "tenant_id": row.project_id,
        "user_id": row.user_id,
        "metadata": row.attributes,
        "hostId": host_id(row.host, row.project_id),
        "image": _image(row, look.url),
        "flavor": _flavor(row.flavor, look),
        "created": seconds(row.created_at),
        "updated": seconds(row.updated_at),
        "addresses": {},
        "accessIPv4": row.access_ipv4 or "",
        "accessIPv6": row.access_ipv6 or "",
        "links": links.of(look.url, "servers", server_id),
        "OS-DCF:diskConfig": row.disk_config,
    }
    if status in PROGRESSING:
        server["progress"] = 0
    if status in FAULTY and row.fault:
        server["fault"] = _fault(row.fault, look)
    server |= {
        "OS-EXT-AZ:availability_zone": row.zone or "",
        "config_drive": "True" if row.has_config_drive else "",
        "key_name": row.key_name,
        "OS-SRV-USG:launched_at": microseconds(row.launched_at),
        "OS-SRV-USG:terminated_at": microseconds(row.terminated_at),
        "OS-EXT-STS:task_state": row.task_state,
        "OS-EXT-STS:vm_state": row.vm_state,
        "OS-EXT-STS:power_state": row.power_state,
        "os-extended-volumes:volumes_attached": [],
        "locked": row.is_locked,
        "description": row.description,
        "tags": row.tags,
        "trusted_image_certificates": None,
        "locked_reason": row.locked_reason,
        "pinned_availability_zone": (row.wanted_zone or "").partition(":")[0] or None,
        "scheduler_hints": {name: hint if isinstance(hint, list) else [hint] for name, hint in row.hints.items()},
    }
    if alone:
        server["server_groups"] = [look.groups[row.id]] if row.id in look.groups else []
    if look.sees_attributes:
        server |= _attributes(row)
    elif look.version >= 90:
        server["OS-EXT-SRV-ATTR:hostname"] = row.hostname
    if look.host_statuses is not None:
        server["host_status"] = look.host_statuses.get(row.host or "", "")
    return SERVER.at(look.version, server)


def created(row: Mapping[str, Any], url: str, security_groups: list[dict[str, str]]) -> dict[str, Any]:
    """The answer to a create."""
    return {
        "id": str(row["id"]),
        "links": links.of(url, "servers", row["id"]),
        "OS-DCF:diskConfig": row["disk_config"],
        "security_groups": security_groups,
        "adminPass": row["admin_password"],
    }


def host_id(host: str | None, project_id: str) -> str:
    """Tells a project which of its servers share a host, and nothing else."""
    return sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def seconds(at: datetime) -> str:
    """`isoformat` is several times as quick as `strftime`, and lists call this thousands of times."""
    return at.isoformat(timespec="seconds")[:19] + "Z"


def microseconds(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="microseconds")[:26]


def _image(row: Server, url: str) -> Any:
    if row.image_id is None:
        return ""
    properties = row.image.get("properties", {})
    return {"id": str(row.image_id), "links": links.bookmark(url, "images", row.image_id), "properties": properties}


def _flavor(flavor: Mapping[str, Any], look: Look) -> dict[str, Any]:
    """The server's own copy, which has no id; before 2.47 a server only named its flavor."""
    if look.version < 47:
        return {"id": flavor["id"], "links": links.bookmark(look.url, "flavors", flavor["id"])}
    shown = {
        "vcpus": flavor["vcpus"],
        "ram": flavor["memory_mib"],
        "disk": flavor["root_gib"],
        "ephemeral": flavor.get("ephemeral_gib", 0),
        "swap": flavor.get("swap_mib", 0),
        "original_name": flavor["name"],
    }
    return shown | {"extra_specs": flavor.get("extra_specs", {})} if look.sees_extra_specs else shown


def _fault(fault: Mapping[str, Any], look: Look) -> dict[str, Any]:
    told = {name: fault[name] for name in ("code", "created", "message") if name in fault}
    if fault.get("details") and (look.sees_details or fault.get("code") != 500):
        told["details"] = fault["details"]
    return told


def _attributes(row: Server) -> dict[str, Any]:
    return {
        "OS-EXT-SRV-ATTR:host": row.host,
        "OS-EXT-SRV-ATTR:instance_name": f"pileus-{row.id.hex[:12]}",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": row.host,
        "OS-EXT-SRV-ATTR:hostname": row.hostname,
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:launch_index": row.launch_index,
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:reservation_id": row.reservation_id,
        "OS-EXT-SRV-ATTR:root_device_name": root_device(row.image.get("properties") or {}),
        "OS-EXT-SRV-ATTR:user_data": row.user_data,
    }


def _host_statuses(kit: Kit, tx: Tx, rows: Sequence[Server]) -> dict[str, str]:
    """Maps host to UP, DOWN or MAINTENANCE."""
    now, down_s = utc_now(), kit.settings.service_down_s

    def status(service: Any) -> str:
        if service.is_disabled:
            return "MAINTENANCE"
        return "UP" if is_up(service, now, down_s=down_s) else "DOWN"

    found = tx.services.of_hosts(sorted({row.host for row in rows if row.host}))
    return {host: status(service) for host, service in found.items()}
