"""Everything that takes longer than a request."""

from __future__ import annotations

from typing import Any

from common.saga.saga import Saga
from services.compute.sagas.boot_server import BOOT_SERVER, BootServer
from services.compute.sagas.crash_server import CRASH_SERVER, CrashServer
from services.compute.sagas.delete_server import DELETE_SERVER, DeleteServer
from services.compute.sagas.hold_server import PAUSE_SERVER, RESUME_SERVER, SUSPEND_SERVER, UNPAUSE_SERVER, HoldServer
from services.compute.sagas.reboot_server import REBOOT_SERVER, RebootServer
from services.compute.sagas.rebuild_server import REBUILD_SERVER, RebuildServer
from services.compute.sagas.rescue_server import RESCUE_SERVER, UNRESCUE_SERVER, RescueServer, UnrescueServer
from services.compute.sagas.resize_server import (
    CONFIRM_RESIZE,
    RESIZE_SERVER,
    REVERT_RESIZE,
    ConfirmResize,
    ResizeServer,
    RevertResize,
)
from services.compute.sagas.soft_delete_server import (
    RESTORE_SERVER,
    SOFT_DELETE_SERVER,
    RestoreServer,
    SoftDeleteServer,
)
from services.compute.sagas.start_server import START_SERVER, StartServer
from services.compute.sagas.stop_server import STOP_SERVER, StopServer

SAGAS: dict[str, Saga[Any]] = {
    saga.name: saga
    for saga in (
        BOOT_SERVER,
        DELETE_SERVER,
        SOFT_DELETE_SERVER,
        RESTORE_SERVER,
        START_SERVER,
        STOP_SERVER,
        REBOOT_SERVER,
        PAUSE_SERVER,
        UNPAUSE_SERVER,
        SUSPEND_SERVER,
        RESUME_SERVER,
        REBUILD_SERVER,
        CRASH_SERVER,
        RESIZE_SERVER,
        CONFIRM_RESIZE,
        REVERT_RESIZE,
        RESCUE_SERVER,
        UNRESCUE_SERVER,
    )
}

__all__ = [
    "BOOT_SERVER",
    "CONFIRM_RESIZE",
    "CRASH_SERVER",
    "DELETE_SERVER",
    "PAUSE_SERVER",
    "REBOOT_SERVER",
    "REBUILD_SERVER",
    "RESCUE_SERVER",
    "RESIZE_SERVER",
    "RESTORE_SERVER",
    "RESUME_SERVER",
    "REVERT_RESIZE",
    "SAGAS",
    "SOFT_DELETE_SERVER",
    "START_SERVER",
    "STOP_SERVER",
    "SUSPEND_SERVER",
    "UNPAUSE_SERVER",
    "UNRESCUE_SERVER",
    "BootServer",
    "ConfirmResize",
    "CrashServer",
    "DeleteServer",
    "HoldServer",
    "RebootServer",
    "RebuildServer",
    "RescueServer",
    "ResizeServer",
    "RestoreServer",
    "RevertResize",
    "SoftDeleteServer",
    "StartServer",
    "StopServer",
    "UnrescueServer",
]
