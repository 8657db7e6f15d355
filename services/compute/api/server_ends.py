"""The end of a server, and the way back: forced and deferred deletes, restore, and states set by hand."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.http.operations import action
from services.compute.api.acting import ACTIONS, allowed, by_saga, note, start
from services.compute.api.asking import empty
from services.compute.api.kit import Kit, Tx, owner, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import StateByHand
from services.compute.core.faults import a_fault
from services.compute.core.states import WITH_GUEST, Action, TaskState, VmState, must_be_settled
from services.compute.db.servers import Server
from services.compute.sagas import DELETE_SERVER, RESTORE_SERVER, SOFT_DELETE_SERVER


def end(tx: Tx, server: Server, caller: Who, kit: Kit) -> None:
    """At once; or after a while, in which it can be restored, if the operator gives one: asking again changes nothing then."""
    waits = kit.settings.reclaim_instance_interval_s > 0 and server.vm_state in WITH_GUEST and server.host is not None
    if waits and (server.task_state or server.vm_state) in (TaskState.SOFT_DELETING, VmState.SOFT_DELETED):
        return
    if waits and server.task_state is None:
        tx.servers.change(server.id, task_state=str(TaskState.SOFT_DELETING))
        start(tx, SOFT_DELETE_SERVER, server, caller)
    else:
        end_now(tx, server, caller)


def end_now(tx: Tx, server: Server, caller: Who) -> None:
    """From any state: what still runs for it is cancelled.  While it is being deleted, asking again changes nothing."""
    if server.task_state != TaskState.DELETING:
        tx.servers.change(server.id, task_state=str(TaskState.DELETING))
        tx.sagas.cancel(server.id)
        start(tx, DELETE_SERVER, server, caller)


@action(ACTIONS, "forceDelete", "os_compute_api:os-deferred-delete:force")
def force_delete(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    with kit.transaction() as tx:
        end_now(tx, allowed(tx, "os-deferred-delete:force", server_id, caller, kit), caller)
    return empty(202)


@action(ACTIONS, "restore", "os_compute_api:os-deferred-delete:restore")
def restore(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.RESTORE, RESTORE_SERVER, "os-deferred-delete:restore", server_id, caller, kit)


@action(ACTIONS, "os-resetState", "os_compute_api:os-admin-actions:reset_state", takes=StateByHand)
def reset_state(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """What still runs for it is cancelled: nothing else would keep it from setting another state afterwards."""
    state = VmState(read(StateByHand, options, version).state)
    with kit.transaction() as tx:
        server = tx.servers.locked(server_id, project_id=scope_of(caller))
        kit.must("os-admin-actions:reset_state", caller, owner(server))
        sentence = f"An administrator set the state from {server.vm_state} to {state}"
        fault = a_fault(sentence, at=utc_now()) if state is VmState.ERROR else None
        tx.sagas.cancel(server.id)
        tx.servers.change(server.id, vm_state=str(state), task_state=None, fault=fault)
        note(tx, "resetState", server, caller, sentence)
    return empty(202)


@action(ACTIONS, "injectNetworkInfo", "os_compute_api:os-admin-actions:inject_network_info")
def inject_network_info(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """For hypervisors that wrote into guests; none of ours does, and libvirt's of Nova does nothing, either."""
    with kit.transaction() as tx:
        server = allowed(tx, "os-admin-actions:inject_network_info", server_id, caller, kit)
        must_be_settled("inject_network_info", server.id, server.vm_state)
        note(tx, "inject_network_info", server, caller)
    return empty(202)
