"""`os-hosts`: hosts as old clients know them, until 2.42.  `os-services` and `os-hypervisors` took its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, between, router
from services.compute.api.faults import NotBuilt
from services.compute.api.kit import KitOf, Tx
from services.compute.api.schemas.hosts import UpdateHost
from services.compute.api.schemas.parts import read

routes = router()
LAST = 42
PATH = "/os-hosts/{host}"


@routes.get("/os-hosts", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-hosts:list")
def list_hosts(request: Request, caller: Caller, kit: KitOf) -> Response:
    """Processes on hosts, those that are disabled left out."""
    kit.must("os-hosts:list", caller)
    zone = request.query_params.get("zone")
    with kit.reading() as tx:
        rows = [row for row in tx.services.listed() if not row.is_disabled and zone in (None, "", row.zone)]
    shown = [{"host_name": row.host, "service": row.binary.removeprefix("nova-"), "zone": row.zone} for row in rows]
    return Json({"hosts": shown})


@routes.get(PATH, dependencies=[between(1, LAST)])
@operation("os_compute_api:os-hosts:show")
def show_host(host: str, caller: Caller, kit: KitOf) -> Response:
    """What it has, what is claimed, what its servers were promised, and that by project."""
    kit.must("os-hosts:show", caller)
    with kit.reading() as tx:
        found = _must_be_host(tx, host)
        use = tx.hypervisors.use_of([found])[found.id]
        promised = tx.hypervisors.promised(host)
    every = {kind: sum(one[kind] for one in promised.values()) for kind in ("VCPU", "MEMORY_MB", "DISK_GB")}
    rows = {"(total)": use.total, "(used_now)": use.used, "(used_max)": every} | promised
    return Json({"host": [_resource(host, project, amounts) for project, amounts in rows.items()]})


@routes.put(PATH, dependencies=[between(1, LAST)])
@operation("os_compute_api:os-hosts:update", takes=UpdateHost)
def update_host(host: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Switch it off for new servers, or on again.  Maintenance windows are not of this hypervisor."""
    kit.must("os-hosts:update", caller)
    asked = read(UpdateHost, body, version)
    if not asked.model_fields_set:
        raise InvalidInput("{} is not valid under any of the given schemas")
    with kit.transaction() as tx:
        service = tx.services.of_hosts([host]).get(host)
        if service is None:
            raise NotFound(f"Host '{host[:64]}' is not mapped to any cell")
        if "maintenance_mode" in asked.model_fields_set:
            raise NotBuilt("The requested functionality is not supported.")
        is_disabled = asked.status == "disable"
        tx.services.change(service.id, is_disabled=is_disabled)
    return Json({"host": host, "status": "disabled" if is_disabled else "enabled"})


@routes.get(PATH + "/{power}", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-hosts:reboot", "os_compute_api:os-hosts:shutdown", "os_compute_api:os-hosts:start")
def power_host(host: str, power: str, caller: Caller, kit: KitOf) -> Response:
    """A hypervisor under libvirt is not powered on and off from here: 501, for hosts that there are."""
    rules = {"reboot": "reboot", "shutdown": "shutdown", "startup": "start"}
    if power not in rules:
        raise NotFound("The resource could not be found.")
    kit.must(f"os-hosts:{rules[power]}", caller)
    with kit.reading() as tx:
        _must_be_host(tx, host)
    raise NotBuilt("The requested functionality is not supported.")


def _must_be_host(tx: Tx, host: str) -> Any:
    """NotFound"""
    if (found := tx.hypervisors.named(host)) is None:
        raise NotFound(f"Compute host {host[:64]} could not be found.")
    return found


def _resource(host: str, project: str, amounts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "resource": {
            "host": host,
            "project": project,
            "cpu": amounts.get("VCPU", 0),
            "memory_mb": amounts.get("MEMORY_MB", 0),
            "disk_gb": amounts.get("DISK_GB", 0),
        }
    }
