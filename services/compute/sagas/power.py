"""What actions on a guest share: where the guest is, how it ended, and what remains when it did not."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from common.errors import Conflict
from common.saga.saga import LocalUndo, Run
from services.compute.core.guests import PowerState
from services.compute.core.states import TaskState, VmState
from services.compute.db.server_states import ServerStates
from services.compute.sagas.kit import Kit


def find_host(run: Run[Any], kit: Kit, session: Session) -> str:
    """Where the guest is.  Conflict if it has no host, as after a boot that failed."""
    host = ServerStates(session).read(run.params.server_id).host
    if host is None:
        raise Conflict("The server has no host")
    return host


MEANS = {PowerState.RUNNING: VmState.ACTIVE, PowerState.PAUSED: VmState.PAUSED}


def mark(
    run: Run[Any], kit: Kit, session: Session, *, power_state: int, then: VmState | None = None, **columns: Any
) -> None:
    """`then`, or the state that belongs to how the guest is now."""
    server = ServerStates(session).change(
        run.params.server_id,
        kit.now(),
        vm_state=then or MEANS.get(PowerState(power_state), VmState.STOPPED),
        task_state=None,
        power_state=power_state,
        fault=None,
        **columns,
    )
    kit.tell(run, server)


def marks(step: str, then: VmState | None = None, **columns: Any) -> Any:
    """The local step that follows `step`, which returned the power state."""

    def mark_result(run: Run[Any], kit: Kit, session: Session) -> None:
        mark(run, kit, session, power_state=run.results[step], then=then, **columns)

    return mark_result


def _stay(run: Run[Any], kit: Kit, session: Session) -> None:
    """The server is what it was; why it is not what was asked for stands in the action's event."""
    states = ServerStates(session)
    server = states.locked(run.params.server_id)
    if server.task_state != TaskState.DELETING and server.deleted_at is None:
        states.change(server.id, kit.now(), task_state=None)
        kit.tell(run, server)


stay: LocalUndo = _stay
