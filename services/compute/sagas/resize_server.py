"""Give a server another flavor on the host that it is on; until that is confirmed, it can go back to how it was.

While it may go back, the server claims the larger of both flavors, resource by resource, so that either way is always free.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import StaleGeneration, Unavailable
from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import KeepGuestSize, ResizeGuest, RestoreGuestSize, StartGuest, StopGuest
from services.compute.core.guests import GuestSize
from services.compute.core.scheduling import needs_of
from services.compute.core.states import VmState
from services.compute.db.claims import Claims, needs_meanwhile
from services.compute.db.server_states import ServerStates
from services.compute.sagas.boot_server import host_of, mark_error
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, mark, stay


class ResizeServer(BaseModel):
    server_id: UUID
    flavor: dict[str, Any]  # the new one, as a server keeps it
    was_on: bool = True


class ConfirmResize(BaseModel):
    server_id: UUID


class RevertResize(BaseModel):
    server_id: UUID


# ---------------------------------------------------------------- to the new size


def claim_both(run: Run[ResizeServer], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    _claim(session, server.id, needs_meanwhile(run.params.flavor, {"flavor": server.flavor}))


def claim_old(run: Run[ResizeServer], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    _claim(session, server.id, needs_of(server.flavor))


def stop_guest(run: Run[ResizeServer], kit: Kit) -> int:
    patience_s = kit.rules.stop_patience_s
    return int(kit.call(StopGuest(server_id=run.params.server_id, patience_s=patience_s), run.results["host"]))


def resize_guest(run: Run[ResizeServer], kit: Kit) -> int:
    flavor = run.params.flavor
    size = GuestSize(
        flavor=flavor["name"], vcpus=flavor["vcpus"], memory_mib=flavor["memory_mib"], root_gib=flavor["root_gib"]
    )
    return int(kit.call(ResizeGuest(server_id=run.params.server_id, size=size), run.results["host"]))


def restore_size(run: Run[Any], kit: Kit) -> int:
    return int(kit.call(RestoreGuestSize(server_id=run.params.server_id), run.results["host"]))


def start_if_it_was_on(run: Run[ResizeServer], kit: Kit) -> int:
    """The guest's power state."""
    if not run.params.was_on:
        return int(run.results.get("guest", run.results.get("stop", 4)))
    return int(kit.call(StartGuest(server_id=run.params.server_id), run.results["host"]))


def start_again(run: Run[ResizeServer], kit: Kit) -> None:
    start_if_it_was_on(run, kit)


def undo_size(run: Run[ResizeServer], kit: Kit) -> None:
    restore_size(run, kit)


def mark_resized(run: Run[ResizeServer], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    before = {"flavor": server.flavor, "vm_state": VmState.ACTIVE if run.params.was_on else VmState.STOPPED}
    mark(
        run,
        kit,
        session,
        power_state=run.results["start"],
        then=VmState.RESIZED,
        flavor=run.params.flavor,
        before=before,
        waits_since=kit.now(),
    )


# ---------------------------------------------------------------- kept, or back


def keep_size(run: Run[ConfirmResize], kit: Kit) -> int:
    return int(kit.call(KeepGuestSize(server_id=run.params.server_id), run.results["host"]))


def mark_confirmed(run: Run[ConfirmResize], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    _claim(session, server.id, needs_of(server.flavor))
    mark(run, kit, session, power_state=run.results["guest"], before=None, waits_since=None)


def start_if_it_ran(run: Run[RevertResize], kit: Kit) -> int:
    """The guest's power state; it runs if it did before its resize."""
    with kit.database.reading() as session:
        before = ServerStates(session).read(run.params.server_id).before or {}
    if before.get("vm_state") == VmState.STOPPED:
        return int(run.results["guest"])
    return int(kit.call(StartGuest(server_id=run.params.server_id), run.results["host"]))


def mark_reverted(run: Run[RevertResize], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    flavor = (server.before or {}).get("flavor", server.flavor)
    _claim(session, server.id, needs_of(flavor))
    mark(run, kit, session, power_state=run.results["start"], flavor=flavor, before=None, waits_since=None)


def _claim(session: Session, server_id: UUID, wanted: dict[Any, int]) -> None:
    try:
        Claims(session).become(server_id, wanted)
    except StaleGeneration as error:
        raise Unavailable("The host's claims just changed") from error


RESIZE_SERVER = Saga(
    name="resize_server",
    params=ResizeServer,
    steps=(
        LocalStep("host", find_host),
        LocalStep("claim", claim_both, undo=claim_old),
        Step("stop", stop_guest, undo=start_again, timeout_s=240),
        Step("guest", resize_guest, undo=undo_size, timeout_s=120),
        Step("start", start_if_it_was_on, timeout_s=120),
        LocalStep("resized", mark_resized),
    ),
    failed=stay,
    host_of=host_of,
    action="resize",
)

CONFIRM_RESIZE = Saga(
    name="confirm_resize",
    params=ConfirmResize,
    steps=(
        LocalStep("host", find_host),
        Step("guest", keep_size, timeout_s=120),
        LocalStep("confirmed", mark_confirmed),
    ),
    failed=stay,
    host_of=host_of,
    action="confirmResize",
)

REVERT_RESIZE = Saga(
    name="revert_resize",
    params=RevertResize,
    steps=(
        LocalStep("host", find_host),
        Step("guest", restore_size, timeout_s=120),
        Step("start", start_if_it_ran, timeout_s=120),
        LocalStep("reverted", mark_reverted),
    ),
    failed=mark_error,
    host_of=host_of,
    action="revertResize",
)
