"""Power a stopped server on."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import StartGuest
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, marks, stay


class StartServer(BaseModel):
    server_id: UUID


def start_guest(run: Run[StartServer], kit: Kit) -> int:
    """The guest's power state afterwards."""
    return int(kit.call(StartGuest(server_id=run.params.server_id), run.results["host"]))


START_SERVER = Saga(
    name="start_server",
    params=StartServer,
    steps=(
        LocalStep("host", find_host),
        Step("guest", start_guest, timeout_s=90),
        LocalStep("done", marks("guest")),
    ),
    failed=stay,
    host_of=host_of,
    action="start",
)
