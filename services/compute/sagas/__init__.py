"""Everything that takes longer than a request."""

from __future__ import annotations

from typing import Any

from common.saga.saga import Saga
from services.compute.sagas.boot_server import BOOT_SERVER, BootServer
from services.compute.sagas.delete_server import DELETE_SERVER, DeleteServer
from services.compute.sagas.reboot_server import REBOOT_SERVER, RebootServer
from services.compute.sagas.start_server import START_SERVER, StartServer
from services.compute.sagas.stop_server import STOP_SERVER, StopServer

SAGAS: dict[str, Saga[Any]] = {
    saga.name: saga for saga in (BOOT_SERVER, DELETE_SERVER, START_SERVER, STOP_SERVER, REBOOT_SERVER)
}

__all__ = [
    "BOOT_SERVER",
    "DELETE_SERVER",
    "REBOOT_SERVER",
    "SAGAS",
    "START_SERVER",
    "STOP_SERVER",
    "BootServer",
    "DeleteServer",
    "RebootServer",
    "StartServer",
    "StopServer",
]
