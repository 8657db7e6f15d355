"""Hold a server still, and let it go on: pause and unpause in memory, suspend and resume by way of its host's disk."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from pydantic import BaseModel

from common.bus.messages import Call
from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import PauseGuest, StartGuest, SuspendGuest
from services.compute.core.guests import PowerState
from services.compute.core.states import VmState
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, marks, stay


class HoldServer(BaseModel):
    server_id: UUID


def _saga(
    action: str, call: Callable[[UUID], Call[PowerState]], *, timeout_s: float, then: VmState | None = None
) -> Saga[HoldServer]:
    """One call to the host; `then`: the state that follows, where the guest's own does not tell it."""

    def ask_host(run: Run[HoldServer], kit: Kit) -> int:
        """The guest's power state afterwards."""
        return int(kit.call(call(run.params.server_id), run.results["host"]))

    return Saga(
        name=f"{action}_server",
        params=HoldServer,
        steps=(
            LocalStep("host", find_host),
            Step("guest", ask_host, timeout_s=timeout_s),
            LocalStep("done", marks("guest", then)),
        ),
        failed=stay,
        host_of=host_of,
        action=action,
    )


# fmt: off
PAUSE_SERVER   = _saga("pause",   lambda server_id: PauseGuest(server_id=server_id),   timeout_s=60)
UNPAUSE_SERVER = _saga("unpause", lambda server_id: StartGuest(server_id=server_id),   timeout_s=90)
SUSPEND_SERVER = _saga("suspend", lambda server_id: SuspendGuest(server_id=server_id), timeout_s=240, then=VmState.SUSPENDED)
RESUME_SERVER  = _saga("resume",  lambda server_id: StartGuest(server_id=server_id),   timeout_s=240)
# fmt: on
