"""Put a server where its owner can still get it back, and get it back.  Housekeeping deletes what nobody wanted back."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import StartGuest, StopGuest
from services.compute.core.states import VmState
from services.compute.db.server_states import ServerStates
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, mark, stay
from services.compute.sagas.shelve_server import forget_shelved_image, shelved_image_of


class SoftDeleteServer(BaseModel):
    server_id: UUID


class RestoreServer(BaseModel):
    server_id: UUID


def stop_guest(run: Run[SoftDeleteServer], kit: Kit) -> int:
    """The guest's power state afterwards."""
    return int(kit.call(StopGuest(server_id=run.params.server_id, patience_s=0), run.results["host"]))


def start_guest(run: Run[RestoreServer], kit: Kit) -> int:
    """The guest's power state afterwards."""
    return int(kit.call(StartGuest(server_id=run.params.server_id), run.results["host"]))


def mark_soft_deleted(run: Run[SoftDeleteServer], kit: Kit, session: Session) -> None:
    power_state = run.results["guest"]
    mark(run, kit, session, power_state=power_state, then=VmState.SOFT_DELETED, waits_since=kit.now())


def mark_restored(run: Run[RestoreServer], kit: Kit, session: Session) -> None:
    """It runs, also if it was shelved before."""
    server = ServerStates(session).locked(run.params.server_id)
    before = None if shelved_image_of(server) else server.before
    forget_shelved_image(session, server, kit)
    mark(run, kit, session, power_state=run.results["guest"], then=VmState.ACTIVE, before=before, waits_since=None)


SOFT_DELETE_SERVER = Saga(
    name="soft_delete_server",
    params=SoftDeleteServer,
    steps=(
        LocalStep("host", find_host),
        Step("guest", stop_guest, timeout_s=90),
        LocalStep("soft_deleted", mark_soft_deleted),
    ),
    failed=stay,
    host_of=host_of,
    action="delete",
)

RESTORE_SERVER = Saga(
    name="restore_server",
    params=RestoreServer,
    steps=(
        LocalStep("host", find_host),
        Step("guest", start_guest, timeout_s=90),
        LocalStep("restored", mark_restored),
    ),
    failed=stay,
    host_of=host_of,
    action="restore",
)
