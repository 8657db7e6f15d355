"""Shut a server down: ask its guest first, then pull the plug."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import StopGuest
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, marks, stay


class StopServer(BaseModel):
    server_id: UUID


def stop_guest(run: Run[StopServer], kit: Kit) -> int:
    """The guest's power state afterwards."""
    return int(
        kit.call(StopGuest(server_id=run.params.server_id, patience_s=kit.rules.stop_patience_s), run.results["host"])
    )


STOP_SERVER = Saga(
    name="stop_server",
    params=StopServer,
    steps=(
        LocalStep("host", find_host),
        Step("guest", stop_guest, timeout_s=240),
        LocalStep("done", marks("guest")),
    ),
    failed=stay,
    host_of=host_of,
    action="stop",
)
