"""What reaches into a server: its password, its crash dump, its figures."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.errors import Conflict, InvalidInput, NotFound, Silent
from common.http.identity import Caller
from common.http.invalid import shown
from common.http.json import Json
from common.http.operations import action, operation
from services.compute.api.acting import ACTIONS, allowed, by_saga, note
from services.compute.api.asking import Version, empty, must_exist, router
from services.compute.api.kit import Kit, KitOf, owner, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import NewPassword
from services.compute.contract import DiagnoseGuest, SetGuestPassword
from services.compute.core.guests import Diagnosis, PowerState
from services.compute.core.states import Action, admit
from services.compute.db.servers import DETAIL, STATE, Server
from services.compute.db.tables import ServerRow
from services.compute.sagas import CRASH_SERVER

routes = router()

CRASH_SINCE, DIAGNOSIS_SINCE = 17, 48
AGENT_S, AGENT_AGAIN_S = 45.0, 1.0
"""How long the agent of a guest that starts is waited for: clients give up on an answer after a minute."""

STARTING = timedelta(minutes=3)
STARTS = ("start", "reboot", "unrescue", "unshelve", "restore", "resize", "revertResize")  # besides its launch
ADMINISTRATOR = {"windows": "Administrator"}
# fmt: off
STATES = {
    PowerState.RUNNING: "running", PowerState.PAUSED: "paused", PowerState.SHUTDOWN: "shutdown",
    PowerState.CRASHED: "crashed", PowerState.SUSPENDED: "suspended",
}
# fmt: on


@action(ACTIONS, "changePassword", "os_compute_api:os-admin-password", takes=NewPassword)
def change_password(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """Asked of the guest's agent while the caller waits: nothing of a password is written down.

    Clients ask as soon as a server is ACTIVE, which is before its agent has started: that is waited for.
    """
    password = read(NewPassword, options, version).admin_password
    with kit.transaction() as tx:
        server = allowed(tx, "os-admin-password", server_id, caller, kit)
        has_host = server.host is not None
        admit(Action.CHANGE_PASSWORD, server.id, server.vm_state, server.task_state, has_host=has_host)
        started_at = max(filter(None, (server.launched_at, tx.sagas.last_end(server.id, STARTS))), default=None)
        is_starting = started_at is not None and utc_now() - started_at < STARTING
    properties = server.image.get("properties") or {}
    user = properties.get("os_admin_user") or ADMINISTRATOR.get(properties.get("os_type", ""), "root")
    try:
        call = SetGuestPassword(server_id=server.id, user=user, password=password)
        _ask_the_agent(call, server.host, kit, is_starting=is_starting)
    except (Conflict, NotFound) as error:
        raise Conflict(f"Failed to set admin password on {server.id} because {error.message}") from error
    with kit.transaction() as tx:
        note(tx, "changePassword", server, caller)
    return empty(202)


def _ask_the_agent(call: SetGuestPassword, host: str, kit: Kit, *, is_starting: bool) -> None:
    """Silent if it did not answer in time, Conflict if it said no.

    A few callers may wait at once, and only for guests that have just started: threads are for everybody.
    """
    until = time.monotonic() + AGENT_S
    with kit.waiting.place() as may_wait:
        while True:
            try:
                return kit.bus.call(call, host=host)
            except Silent:
                if not (is_starting and may_wait) or time.monotonic() > until:
                    raise
            time.sleep(AGENT_AGAIN_S)


@action(ACTIONS, "trigger_crash_dump", "os_compute_api:servers:trigger_crash_dump")
def trigger_crash_dump(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    must_exist(CRASH_SINCE, version)
    if options is not None:
        raise InvalidInput(
            f"Invalid input for field/attribute trigger_crash_dump. Value: {shown(options)}. "
            f"{shown(options, quote=True)} is not of type 'null'"
        )
    return by_saga(Action.CRASH_DUMP, CRASH_SERVER, "servers:trigger_crash_dump", server_id, caller, kit)


@routes.get("/servers/{server_id}/diagnostics")
@operation("os_compute_api:os-server-diagnostics")
def show_diagnostics(server_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Before 2.48 in libvirt's own words."""
    with kit.reading() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=DETAIL)
    kit.must("os-server-diagnostics", caller, owner(server))
    admit(Action.DIAGNOSE, server.id, server.vm_state, None, has_host=server.host is not None)
    if (power := STATES.get(server.power_state, "pending")) != "running":
        raise Conflict(f"Cannot 'get_diagnostics' instance {server.id} while it is in power state {power}")
    told = kit.bus.call(DiagnoseGuest(server_id=server.id), host=server.host)
    return Json(
        _diagnosis(told, server, always_drive=kit.settings.config_drive_always)
        if version >= DIAGNOSIS_SINCE
        else _old_diagnosis(told)
    )


def _diagnosis(told: Diagnosis, server: Server, *, always_drive: bool) -> dict[str, Any]:
    up = utc_now() - server.launched_at if server.launched_at else None
    cpus = [{"id": number, "time": time_ns, "utilisation": None} for number, time_ns in enumerate(told.cpu_times_ns)]
    disks = [
        {
            "read_bytes": disk.read_bytes,
            "read_requests": disk.read_requests,
            "write_bytes": disk.write_bytes,
            "write_requests": disk.write_requests,
            "errors_count": -1,
        }
        for disk in told.disks
    ]
    return {
        "state": STATES.get(told.power_state, "pending"),
        "driver": told.driver,
        "hypervisor": told.hypervisor,
        "hypervisor_os": "linux",
        "uptime": None if up is None else int(up.total_seconds()),
        "config_drive": server.has_config_drive or always_drive,
        "num_cpus": len(cpus),
        "num_nics": 0,
        "num_disks": len(disks),
        "cpu_details": cpus,
        "nic_details": [],
        "disk_details": disks,
        "memory_details": {"maximum": told.memory_kib // 1024, "used": told.memory_used_kib // 1024},
    }


def _old_diagnosis(told: Diagnosis) -> dict[str, int]:
    found = {f"cpu{number}_time": time_ns for number, time_ns in enumerate(told.cpu_times_ns)}
    for disk in told.disks:
        found |= {
            f"{disk.name}_read_req": disk.read_requests,
            f"{disk.name}_read": disk.read_bytes,
            f"{disk.name}_write_req": disk.write_requests,
            f"{disk.name}_write": disk.write_bytes,
            f"{disk.name}_errors": -1,
        }
    memory = {"memory": told.memory_kib, "memory-actual": told.memory_kib, "memory-rss": told.memory_rss_kib}
    return found | memory


@routes.get("/servers/{server_id}/os-server-password")
@operation("os_compute_api:os-server-password:show")
def show_password(server_id: str, caller: Caller, kit: KitOf) -> Response:
    """What the guest sealed with its key's public half; empty if it has not."""
    columns = (*STATE, ServerRow.sealed_password)
    with kit.reading() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=columns)
    kit.must("os-server-password:show", caller, owner(server))
    return Json({"password": server.sealed_password or ""})


@routes.delete("/servers/{server_id}/os-server-password")
@operation("os_compute_api:os-server-password:clear")
def clear_password(server_id: str, caller: Caller, kit: KitOf) -> Response:
    """Forgets it here; in the guest nothing changes."""
    with kit.transaction() as tx:
        server = tx.servers.locked(server_id, project_id=scope_of(caller))
        kit.must("os-server-password:clear", caller, owner(server))
        tx.servers.change(server.id, sealed_password=None)
    return empty(204)
