"""Whether a server runs: start, stop, reboot, pause, suspend, and the way back from each."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.http.operations import action
from services.compute.api.acting import ACTIONS, by_saga
from services.compute.api.kit import Kit
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import RebootKind
from services.compute.core.states import Action
from services.compute.sagas import (
    PAUSE_SERVER,
    REBOOT_SERVER,
    RESUME_SERVER,
    START_SERVER,
    STOP_SERVER,
    SUSPEND_SERVER,
    UNPAUSE_SERVER,
)


@action(ACTIONS, "os-start", "os_compute_api:servers:start")
def start(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.START, START_SERVER, "servers:start", server_id, caller, kit)


@action(ACTIONS, "os-stop", "os_compute_api:servers:stop")
def stop(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.STOP, STOP_SERVER, "servers:stop", server_id, caller, kit)


@action(ACTIONS, "reboot", "os_compute_api:servers:reboot", takes=RebootKind)
def reboot(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    is_hard = read(RebootKind, options, version).type.upper() == "HARD"
    wanted = Action.REBOOT_HARD if is_hard else Action.REBOOT
    return by_saga(
        wanted,
        REBOOT_SERVER,
        "servers:reboot",
        server_id,
        caller,
        kit,
        prepare=lambda server, tx: {"is_hard": is_hard},
    )


@action(ACTIONS, "pause", "os_compute_api:os-pause-server:pause")
def pause(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.PAUSE, PAUSE_SERVER, "os-pause-server:pause", server_id, caller, kit)


@action(ACTIONS, "unpause", "os_compute_api:os-pause-server:unpause")
def unpause(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.UNPAUSE, UNPAUSE_SERVER, "os-pause-server:unpause", server_id, caller, kit)


@action(ACTIONS, "suspend", "os_compute_api:os-suspend-server:suspend")
def suspend(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.SUSPEND, SUSPEND_SERVER, "os-suspend-server:suspend", server_id, caller, kit)


@action(ACTIONS, "resume", "os_compute_api:os-suspend-server:resume")
def resume(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.RESUME, RESUME_SERVER, "os-suspend-server:resume", server_id, caller, kit)
