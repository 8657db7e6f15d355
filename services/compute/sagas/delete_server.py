"""Delete a server, whatever state it is in.  What its host can't remove now goes when the host reconciles."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import DestroyGuest
from services.compute.core.faults import a_fault
from services.compute.core.guests import PowerState
from services.compute.core.states import VmState
from services.compute.db.migration_records import MigrationRecords
from services.compute.db.placement import Placement
from services.compute.db.server_states import ServerStates
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.shelve_server import forget_shelved_image


class DeleteServer(BaseModel):
    server_id: UUID


def find_host(run: Run[DeleteServer], kit: Kit, session: Session) -> str | None:
    """Where the guest is; None if it has no host."""
    return ServerStates(session).read(run.params.server_id).host


def destroy_guest(run: Run[DeleteServer], kit: Kit) -> bool:
    """Whether its host has removed it; one that is down does that when it is back."""
    host = host_of(run)
    if host is None or kit.is_down(host):
        return host is None
    kit.call(DestroyGuest(server_id=run.params.server_id), host)
    return True


def mark_deleted(run: Run[DeleteServer], kit: Kit, session: Session) -> None:
    now = kit.now()
    server = ServerStates(session).change(
        run.params.server_id,
        now,
        vm_state=VmState.DELETED,
        task_state=None,
        power_state=PowerState.NOSTATE,
        terminated_at=now,
        deleted_at=now,
        admin_password=None,
    )
    Placement(session).release(server.id)
    MigrationRecords(session).abandon(server.id, at=now)
    forget_shelved_image(session, server, kit)
    kit.tell(run, server)


def mark_error(run: Run[DeleteServer], kit: Kit, session: Session) -> None:
    """The guest is gone, or goes when its host finds that nobody wants it."""
    Placement(session).release(run.params.server_id)
    MigrationRecords(session).abandon(run.params.server_id, at=kit.now())
    fault = a_fault(run.error or "The server could not be deleted", at=kit.now())
    server = ServerStates(session).change(
        run.params.server_id, kit.now(), vm_state=VmState.ERROR, task_state=None, host=None, fault=fault
    )
    kit.tell(run, server)


DELETE_SERVER = Saga(
    name="delete_server",
    params=DeleteServer,
    steps=(
        LocalStep("host", find_host),
        Step("guest", destroy_guest, timeout_s=90, may_be_skipped=True),
        LocalStep("deleted", mark_deleted),
    ),
    failed=mark_error,
    host_of=host_of,
    may_be_cancelled=False,
    action="delete",
)
