"""Hypervisors: the hosts, what they have, and how much of it is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.errors import InvalidInput, NotFound, Unavailable
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api import links
from services.compute.api.asking import Version, between, router
from services.compute.api.kit import Kit, KitOf, Tx
from services.compute.api.queries import limit_of, truth_of
from services.compute.api.versions import HYPERVISOR
from services.compute.contract import ReadUptime
from services.compute.db.hypervisors import Use
from services.compute.db.servers import as_uuid
from services.compute.db.services import is_up

routes = router()
BY_UUID = 53
UPTIME_WITHIN = 88


@routes.get("/os-hypervisors")
@operation("os_compute_api:os-hypervisors:list")
def list_hypervisors(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-hypervisors:list", caller)
    return Json(_list(request, kit, version, whole=False))


@routes.get("/os-hypervisors/detail")
@operation("os_compute_api:os-hypervisors:list-detail")
def list_hypervisors_whole(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-hypervisors:list-detail", caller)
    return Json(_list(request, kit, version, whole=True))


@routes.get("/os-hypervisors/statistics", dependencies=[between(1, 87)])
@operation("os_compute_api:os-hypervisors:statistics")
def sum_up(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-hypervisors:statistics", caller)
    with kit.reading() as tx:
        rows = tx.hypervisors.page(limit=1_000_000)
        uses = tx.hypervisors.use_of(rows)
    numbers = [_numbers(row, uses[row.id]) for row in rows]
    summed = ("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "local_gb", "local_gb_used", "free_ram_mb",
              "free_disk_gb", "current_workload", "running_vms", "disk_available_least")  # fmt: skip
    totals = {name: sum(one[name] or 0 for one in numbers) for name in summed}
    return Json({"hypervisor_statistics": {"count": len(rows)} | totals})


@routes.get("/os-hypervisors/{hypervisor_id}")
@operation("os_compute_api:os-hypervisors:show")
def show_hypervisor(hypervisor_id: str, request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-hypervisors:show", caller)
    _must_be_id(hypervisor_id, version)
    with_servers = _with_servers(request, version)
    with kit.reading() as tx:
        row = tx.hypervisors.find(hypervisor_id, by_uuid=version >= BY_UUID)
        [shown] = _shown(tx, [row], kit, version, whole=True, with_servers=with_servers)
    if version >= UPTIME_WITHIN:
        shown["uptime"] = _uptime(row, kit)
    return Json({"hypervisor": shown})


@routes.get("/os-hypervisors/{hypervisor_id}/uptime", dependencies=[between(1, 87)])
@operation("os_compute_api:os-hypervisors:uptime")
def show_uptime(hypervisor_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Since 2.88 it is a part of the hypervisor."""
    kit.must("os-hypervisors:uptime", caller)
    _must_be_id(hypervisor_id, version)
    with kit.reading() as tx:
        row = tx.hypervisors.find(hypervisor_id, by_uuid=version >= BY_UUID)
        [shown] = _shown(tx, [row], kit, version, whole=False, with_servers=False)
    if (uptime := _uptime(row, kit)) is None:
        raise InvalidInput(f"Compute service of {row.name} is unavailable at this time.")
    return Json({"hypervisor": shown | {"uptime": uptime}})


def _uptime(row: Any, kit: Kit) -> str | None:
    """The host itself is asked, and only where one is shown; None: it does not answer."""
    if not is_up(row, utc_now(), down_s=kit.settings.service_down_s):
        return None
    try:
        return kit.bus.call(ReadUptime(), host=row.name)
    except Unavailable:
        return None


@routes.get("/os-hypervisors/{pattern}/search", dependencies=[between(1, 52)])
@operation("os_compute_api:os-hypervisors:search")
def search(pattern: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-hypervisors:search", caller)
    return _matching(pattern, caller, kit, version, with_servers=False)


@routes.get("/os-hypervisors/{pattern}/servers", dependencies=[between(1, 52)])
@operation("os_compute_api:os-hypervisors:servers")
def list_with_servers(pattern: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-hypervisors:servers", caller)
    return _matching(pattern, caller, kit, version, with_servers=True)


def _matching(pattern: str, caller: Who, kit: Kit, version: int, *, with_servers: bool) -> Response:
    with kit.reading() as tx:
        rows = _matched(tx, pattern, kit)
        return Json({"hypervisors": _shown(tx, rows, kit, version, whole=False, with_servers=with_servers)})


def _list(request: Request, kit: Kit, version: int, *, whole: bool) -> dict[str, Any]:
    query, with_servers = request.query_params, _with_servers(request, version)
    pattern = query.get("hypervisor_hostname_pattern") if version >= BY_UUID else None
    has_pages = version >= 33
    marker, limit = (query.get("marker") if has_pages else None), kit.settings.list_limit
    if pattern is not None and ("limit" in query or marker):
        raise InvalidInput(
            "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
        )
    if has_pages:
        limit = limit_of(query, limit)
    with kit.reading() as tx:
        if pattern is not None:
            rows = _matched(tx, pattern, kit)
        else:
            rows = tx.hypervisors.page(marker=marker, by_uuid=version >= BY_UUID, limit=limit)
        shown = _shown(tx, rows, kit, version, whole=whole, with_servers=with_servers)
    more = None
    if has_pages and pattern is None and rows and len(rows) == limit:
        more = links.next_page(kit.url, request.url.path.removeprefix("/v2.1"), query, shown[-1]["id"])
    return links.paged("hypervisors", shown, more)


def _matched(tx: Tx, pattern: str, kit: Kit) -> Sequence[Any]:
    rows = tx.hypervisors.page(containing=pattern, limit=kit.settings.list_limit)
    if not rows:
        raise NotFound(f"No hypervisor matching '{pattern[:64]}' could be found.")
    return rows


def _with_servers(request: Request, version: int) -> bool:
    given = request.query_params.get("with_servers") if version >= BY_UUID else None
    return given is not None and truth_of(given, "with_servers")


def _must_be_id(hypervisor_id: str, version: int) -> None:
    if version >= BY_UUID and as_uuid(hypervisor_id) is None:
        raise InvalidInput(f"Invalid uuid {hypervisor_id[:64]}")


def _shown(
    tx: Tx, rows: Sequence[Any], kit: Kit, version: int, *, whole: bool, with_servers: bool
) -> list[dict[str, Any]]:
    """A constant number of queries, however many hosts."""
    uses = tx.hypervisors.use_of(rows) if whole and version < 88 else {}
    servers: dict[str, list[dict[str, str]]] = {row.name: [] for row in rows}
    if with_servers:
        for server in tx.servers.on_hosts(list(servers)):
            servers[server.host].append({"name": server.name, "uuid": str(server.id)})
    shown = []
    for row in rows:
        hypervisor = _named(row, kit) | (_whole(row, uses.get(row.id, Use())) if whole else {})
        if servers[row.name] or (with_servers and version >= 75):
            hypervisor["servers"] = servers[row.name]
        HYPERVISOR.at(version, hypervisor)
        for spare in ("number", "service number"):
            hypervisor.pop(spare, None)
        shown.append(hypervisor)
    return shown


def _named(row: Any, kit: Kit) -> dict[str, Any]:
    up = is_up(row, utc_now(), down_s=kit.settings.service_down_s)
    return {
        "id": str(row.id),
        "number": row.number,
        "hypervisor_hostname": row.name,
        "state": "up" if up else "down",
        "status": "disabled" if row.is_disabled else "enabled",
    }


def _whole(row: Any, use: Use) -> dict[str, Any]:
    facts = row.facts
    return _numbers(row, use) | {
        "hypervisor_type": facts["hypervisor_type"],
        "hypervisor_version": facts["hypervisor_version"],
        "host_ip": facts["address"],
        "service": {"id": str(row.service_id), "host": row.name, "disabled_reason": row.disabled_reason},
        "service number": row.service_number,
        "cpu_info": facts.get("cpu_info") or {},
        "uptime": None,
    }


def _numbers(row: Any, use: Use) -> dict[str, Any]:
    """What they were until 2.87; placement tells more."""
    total = {kind: use.total.get(kind, 0) for kind in ("VCPU", "MEMORY_MB", "DISK_GB")}
    used = {kind: use.used.get(kind, 0) for kind in total}
    reserved_mib = int(row.facts.get("memory_reserved_mib", 0))
    memory_used = used["MEMORY_MB"] + reserved_mib
    return {
        "vcpus": total["VCPU"],
        "vcpus_used": used["VCPU"],
        "memory_mb": total["MEMORY_MB"],
        "memory_mb_used": memory_used,
        "local_gb": total["DISK_GB"],
        "local_gb_used": used["DISK_GB"],
        "free_ram_mb": total["MEMORY_MB"] - memory_used,
        "free_disk_gb": total["DISK_GB"] - used["DISK_GB"],
        "disk_available_least": row.facts.get("disk_free_gib"),
        "current_workload": 0,
        "running_vms": use.servers,
    }
