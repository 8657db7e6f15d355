"""Restart a server: softly, with the guest's consent, or hard."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import RebootGuest
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, marks, stay


class RebootServer(BaseModel):
    server_id: UUID
    is_hard: bool = False


def reboot_guest(run: Run[RebootServer], kit: Kit) -> int:
    """The guest's power state afterwards."""
    patience_s = 0 if run.params.is_hard else kit.rules.stop_patience_s
    return int(kit.call(RebootGuest(server_id=run.params.server_id, patience_s=patience_s), run.results["host"]))


REBOOT_SERVER = Saga(
    name="reboot_server",
    params=RebootServer,
    steps=(
        LocalStep("host", find_host),
        Step("guest", reboot_guest, timeout_s=300),
        LocalStep("done", marks("guest")),
    ),
    failed=stay,
    host_of=host_of,
    action="reboot",
)
