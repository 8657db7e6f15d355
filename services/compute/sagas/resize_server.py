"""Give a server another flavor on the host that it is on; until that is confirmed, it can go back to how it was.

While it may go back, the server claims the larger of both flavors, resource by resource, so that either way is always free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import StaleGeneration, Unavailable
from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import KeepGuestSize, ResizeGuest, RestoreGuestSize, StartGuest, StopGuest
from services.compute.core.guests import GuestSize
from services.compute.core.hardware import hardware_of_copies
from services.compute.core.local_disks import after_resize
from services.compute.core.states import VmState
from services.compute.db.claims import Claims, demands_meanwhile
from services.compute.db.migration_records import CONFIRMED, ERROR, FINISHED, REVERTED, MigrationRecords
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import ServerRow
from services.compute.sagas.boot_server import host_of, mark_error
from services.compute.sagas.guest_spec import disks_for
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, mark, stay
from services.compute.sagas.schedule import must_suit


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
    """By the same rules as for a new server.  NoCapacity"""
    server = ServerStates(session).locked(run.params.server_id)
    MigrationRecords(session).begin_resize(server, run.params.flavor, at=kit.now())
    must_suit(server, kit, session, flavor=run.params.flavor)
    claim_now(session, server, run.params.flavor, before={"flavor": server.flavor})


def claim_old(run: Run[ResizeServer], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    claim_now(session, server, server.flavor)
    MigrationRecords(session).reached(server.id, ERROR, at=kit.now())


def stop_guest(run: Run[ResizeServer], kit: Kit) -> int:
    patience_s = kit.rules.stop_patience_s
    return int(kit.call(StopGuest(server_id=run.params.server_id, patience_s=patience_s), run.results["host"]))


def resize_guest(run: Run[ResizeServer], kit: Kit) -> int:
    flavor = run.params.flavor
    with kit.database.reading() as session:
        server = ServerStates(session).read(run.params.server_id)
    size = GuestSize(
        flavor=flavor["name"],
        vcpus=flavor["vcpus"],
        memory_mib=flavor["memory_mib"],
        root_gib=flavor["root_gib"],
        hardware=hardware_of_copies(server.image, flavor),
        disks=disks_for(server, kit.rules, flavor=flavor, asked=after_resize(server.local_disks)),
    )
    return int(kit.call(ResizeGuest(server_id=run.params.server_id, size=size), run.results["host"]))


def restore_size(run: Run[Any], kit: Kit) -> int:
    with kit.database.reading() as session:
        server = ServerStates(session).read(run.params.server_id)
    before = server.before or {}  # nothing yet, if the resize itself is undone
    flavor, asked = before.get("flavor", server.flavor), before.get("local_disks", server.local_disks)
    disks = disks_for(server, kit.rules, flavor=flavor, asked=asked)
    return int(kit.call(RestoreGuestSize(server_id=server.id, disks=disks), run.results["host"]))


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
    MigrationRecords(session).reached(server.id, FINISHED, at=kit.now())
    before = {
        "flavor": server.flavor,
        "local_disks": server.local_disks,
        "vm_state": VmState.ACTIVE if run.params.was_on else VmState.STOPPED,
    }
    mark(
        run,
        kit,
        session,
        power_state=run.results["start"],
        then=VmState.RESIZED,
        flavor=run.params.flavor,
        local_disks=after_resize(server.local_disks),
        before=before,
        waits_since=kit.now(),
    )


# ---------------------------------------------------------------- kept, or back


def keep_size(run: Run[ConfirmResize], kit: Kit) -> int:
    return int(kit.call(KeepGuestSize(server_id=run.params.server_id), run.results["host"]))


def mark_confirmed(run: Run[ConfirmResize], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    claim_now(session, server, server.flavor)
    MigrationRecords(session).reached(server.id, CONFIRMED, at=kit.now())
    mark(run, kit, session, power_state=run.results["guest"], before=None, waits_since=None)


def mark_old_size(run: Run[RevertResize], kit: Kit, session: Session) -> bool:
    """Whether it is to run.  Whatever becomes of its start, it has its old size and claims no more than that."""
    states = ServerStates(session)
    server = states.locked(run.params.server_id)
    before = server.before or {}
    flavor = before.get("flavor", server.flavor)
    claim_now(session, server, flavor)
    disks = before.get("local_disks", server.local_disks)
    states.assign(server, kit.now(), flavor=flavor, local_disks=disks, before=None, waits_since=None)
    return before.get("vm_state") != VmState.STOPPED


def start_if_it_ran(run: Run[RevertResize], kit: Kit) -> int:
    """The guest's power state; it runs if it did before its resize."""
    if not run.results["size"]:
        return int(run.results["guest"])
    return int(kit.call(StartGuest(server_id=run.params.server_id), run.results["host"]))


def mark_reverted(run: Run[RevertResize], kit: Kit, session: Session) -> None:
    MigrationRecords(session).reached(run.params.server_id, REVERTED, at=kit.now())
    mark(run, kit, session, power_state=run.results["start"])


def mark_stuck(run: Run[RevertResize], kit: Kit, session: Session) -> None:
    mark_error(run, kit, session)
    MigrationRecords(session).reached(run.params.server_id, ERROR, at=kit.now())


def claim_now(
    session: Session, server: ServerRow, flavor: Mapping[str, Any], *, before: Mapping[str, Any] | None = None
) -> None:
    """Hold exactly what this flavor asks for, or what either does while there is one before.  NoCapacity, Unavailable"""
    demands = demands_meanwhile(flavor, before, server.image.get("properties") or {})
    try:
        Claims(session).become(server.id, demands, host=server.host)
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
        LocalStep("size", mark_old_size),
        Step("start", start_if_it_ran, timeout_s=120),
        LocalStep("reverted", mark_reverted),
    ),
    failed=mark_stuck,
    host_of=host_of,
    action="revertResize",
)
