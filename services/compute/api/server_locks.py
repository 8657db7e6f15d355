"""Locks: a locked server takes no actions but from administrators."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.http.operations import action
from services.compute.api.acting import ACTIONS, note
from services.compute.api.asking import empty
from services.compute.api.kit import Kit, owner, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import LockReason

WITH_REASON = 73


def _reason(options: Any, version: int) -> str | None:
    """InvalidInput.  Before 2.73 nothing was looked at."""
    return None if options is None or version < WITH_REASON else read(LockReason, options, version).locked_reason


@action(ACTIONS, "lock", "os_compute_api:os-lock-server:lock", takes=LockReason)
def lock(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    reason = _reason(options, version)
    with kit.transaction() as tx:
        server = tx.servers.locked(server_id, project_id=scope_of(caller))
        kit.must("os-lock-server:lock", caller, owner(server))
        by = "owner" if caller.project_id == server.project_id else "admin"
        tx.servers.change(server.id, is_locked=True, locked_by=by, locked_reason=reason)
        note(tx, "lock", server, caller, reason)
    return empty(202)


@action(
    ACTIONS, "unlock", "os_compute_api:os-lock-server:unlock", "os_compute_api:os-lock-server:unlock:unlock_override"
)
def unlock(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """What an administrator locked, only those unlock who may override it."""
    with kit.transaction() as tx:
        server = tx.servers.locked(server_id, project_id=scope_of(caller))
        kit.must("os-lock-server:unlock", caller, owner(server))
        if server.locked_by == "admin":
            kit.must("os-lock-server:unlock:unlock_override", caller, owner(server))
        tx.servers.change(server.id, is_locked=False, locked_by=None, locked_reason=None)
        note(tx, "unlock", server, caller)
    return empty(202)
