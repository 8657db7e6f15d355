"""What the actions on servers share: one more is a function with `@action(ACTIONS, name, rule)`, and a rule in core/states.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Response

from common.auth.callers import Caller
from common.clock import utc_now
from common.http.operations import Actions
from common.saga.saga import Saga
from services.compute.api.asking import empty
from services.compute.api.kit import Kit, Tx, owner, scope_of
from services.compute.core.states import Action, Rule, admit, must_be_open
from services.compute.db.servers import Server

ACTIONS: Actions = {}
"""What may be asked; each function joins it, with its rule and the model of its options."""

NOTHING: Mapping[str, Any] = {}
Prepare = Callable[[Server, Tx], Mapping[str, Any]]  # fields of the saga's params besides the server's id


def by_saga(
    action: Action,
    saga: Saga[Any],
    rule: str,
    server_id: str,
    caller: Caller,
    kit: Kit,
    *,
    prepare: Prepare = lambda server, tx: NOTHING,
    needs_host: bool = True,
) -> Response:
    """State and saga in one transaction.  NotFound, Forbidden, Conflict"""
    with kit.transaction() as tx:
        server = allowed(tx, rule, server_id, caller, kit)
        admitted = admit(
            action, server.id, server.vm_state, server.task_state, has_host=server.host is not None or not needs_host
        )
        begin(tx, saga, server, caller, admitted, **prepare(server, tx))
    return empty(202)


def allowed(tx: Tx, rule: str, server_id: str, caller: Caller, kit: Kit) -> Server:
    """The server, kept from others, if the caller may do that and it is not locked against them."""
    server = tx.servers.locked(server_id, project_id=scope_of(caller))
    kit.must(rule, caller, owner(server))
    must_be_open(server.id, is_locked=server.is_locked, is_admin=caller.is_admin)
    return server


def admitted(action: Action, rule: str, server_id: str, caller: Caller, kit: Kit) -> Server:
    """The server, if the caller may do that with it now; nothing is begun.  NotFound, Forbidden, Conflict"""
    with kit.transaction() as tx:
        server = allowed(tx, rule, server_id, caller, kit)
        admit(action, server.id, server.vm_state, server.task_state)
    return server


def begin(tx: Tx, saga: Saga[Any], server: Server, caller: Caller, rule: Rule, **params: Any) -> None:
    if rule.task is not None:
        tx.servers.change(server.id, task_state=str(rule.task))
    start(tx, saga, server, caller, **params)


def start(tx: Tx, saga: Saga[Any], server: Server, caller: Caller, **params: Any) -> None:
    tx.sagas.start(
        saga,
        saga.params(server_id=server.id, **params),
        resource_id=server.id,
        project_id=caller.project_id,
        user_id=caller.user_id,
    )


def note(tx: Tx, name: str, server: Server, caller: Caller, message: str | None = None) -> None:
    """Into the timeline: something that was done at once."""
    tx.sagas.note(
        name,
        resource_id=server.id,
        project_id=caller.project_id,
        user_id=caller.user_id,
        step="state",
        at=utc_now(),
        host=server.host,
        message=message,
    )
