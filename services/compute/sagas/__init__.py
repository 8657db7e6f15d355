"""Everything that takes longer than a request."""

from __future__ import annotations

from typing import Any

from common.saga.saga import Saga
from services.compute.sagas.boot_server import BOOT_SERVER, BootServer
from services.compute.sagas.crash_server import CRASH_SERVER, CrashServer
from services.compute.sagas.delete_server import DELETE_SERVER, DeleteServer
from services.compute.sagas.disk_copies import REMOVE_IMAGE, RemoveImage
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
from services.compute.sagas.shelve_server import (
    OFFLOAD_SERVER,
    SHELVE_SERVER,
    UNSHELVE_SERVER,
    OffloadServer,
    ShelveServer,
    UnshelveServer,
)
from services.compute.sagas.snapshot_server import BACKUP_SERVER, SNAPSHOT_SERVER, BackupServer, SnapshotServer
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
        SNAPSHOT_SERVER,
        BACKUP_SERVER,
        SHELVE_SERVER,
        OFFLOAD_SERVER,
        UNSHELVE_SERVER,
        REMOVE_IMAGE,
    )
}

__all__ = [
    "BACKUP_SERVER",
    "BOOT_SERVER",
    "CONFIRM_RESIZE",
    "CRASH_SERVER",
    "DELETE_SERVER",
    "OFFLOAD_SERVER",
    "PAUSE_SERVER",
    "REBOOT_SERVER",
    "REBUILD_SERVER",
    "REMOVE_IMAGE",
    "RESCUE_SERVER",
    "RESIZE_SERVER",
    "RESTORE_SERVER",
    "RESUME_SERVER",
    "REVERT_RESIZE",
    "SAGAS",
    "SHELVE_SERVER",
    "SNAPSHOT_SERVER",
    "SOFT_DELETE_SERVER",
    "START_SERVER",
    "STOP_SERVER",
    "SUSPEND_SERVER",
    "UNPAUSE_SERVER",
    "UNRESCUE_SERVER",
    "UNSHELVE_SERVER",
    "BackupServer",
    "BootServer",
    "ConfirmResize",
    "CrashServer",
    "DeleteServer",
    "HoldServer",
    "OffloadServer",
    "RebootServer",
    "RebuildServer",
    "RemoveImage",
    "RescueServer",
    "ResizeServer",
    "RestoreServer",
    "RevertResize",
    "ShelveServer",
    "SnapshotServer",
    "SoftDeleteServer",
    "StartServer",
    "StopServer",
    "UnrescueServer",
    "UnshelveServer",
]
