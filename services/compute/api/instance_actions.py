"""A server's timeline: what was asked of it, and each step of that, as the sagas recorded them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import QueryParams

from common.auth.callers import Caller as Who
from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from common.saga.tables import SagaState
from services.compute.api import links
from services.compute.api.asking import Version, router
from services.compute.api.kit import Kit, KitOf, Tx, owner, scope_of
from services.compute.api.queries import limit_of, time_of
from services.compute.api.server_views import host_id, microseconds
from services.compute.api.versions import INSTANCE_ACTION, INSTANCE_ACTION_EVENT
from services.compute.db.servers import STATE, Server
from services.compute.sagas import SAGAS

routes = router()
PATH = "/servers/{server_id}/os-instance-actions"
WITH_DELETED = 21  # since then, deleted servers' can be read
FOR_OWNERS = 51  # since then, owners see events, without traces


@routes.get(PATH)
@operation("os_compute_api:os-instance-actions:list")
def list_actions(server_id: str, request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Newest first; pages came with 2.58."""
    with kit.reading() as tx:
        server = _seen(tx, server_id, caller, kit, version, "list")
        sagas = tx.sagas.of_resource(server.id)
    query, more = request.query_params, None
    if version >= 58:
        sagas, more = _page(sagas, query, kit, server)
    actions = [INSTANCE_ACTION.at(version, _action(saga, server)) for saga in sagas]
    return Json({"instanceActions": actions} | ({"links": more} if more else {}))


@routes.get(PATH + "/{request_id}")
@operation(
    "os_compute_api:os-instance-actions:show",
    "os_compute_api:os-instance-actions:events",
    "os_compute_api:os-instance-actions:events:details",
)
def show_action(server_id: str, request_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """By the id of the request that asked for it."""
    with kit.reading() as tx:
        server = _seen(tx, server_id, caller, kit, version, "show")
        sagas = tx.sagas.of_resource(server.id, request_id=request_id)
        if not sagas:
            raise NotFound(f"Action {request_id[:64]} not found")
        events = tx.sagas.events_of([sagas[0].id])
    action = INSTANCE_ACTION.at(version, _action(sagas[0], server))
    sees_all = kit.allows("os-instance-actions:events", caller, owner(server))
    if sees_all or version >= FOR_OWNERS:
        details = kit.allows("os-instance-actions:events:details", caller, owner(server))
        kind = sagas[0].kind
        action["events"] = [_event(one, kind, server, version, sees_all, details) for one in events]
    return Json({"instanceAction": action})


def _seen(tx: Tx, server_id: str, caller: Who, kit: Kit, version: int, verb: str) -> Server:
    server = tx.servers.find(
        server_id, project_id=scope_of(caller), columns=STATE, with_deleted=version >= WITH_DELETED
    )
    kit.must(f"os-instance-actions:{verb}", caller, owner(server))
    return server


def _action(saga: Any, server: Server) -> dict[str, Any]:
    return {
        "action": saga.action,
        "instance_uuid": str(server.id),
        "request_id": saga.request_id,
        "user_id": saga.user_id,
        "project_id": saga.project_id,
        "start_time": microseconds(saga.created_at),
        "updated_at": microseconds(saga.updated_at),
        "message": "Error" if saga.state in (SagaState.FAILED, SagaState.UNDOING) else None,
    }


def _event(event: Any, kind: str, server: Server, version: int, sees_all: bool, sees_details: bool) -> dict[str, Any]:
    """A step; one that is undone is named `undo_<step>`."""
    name = SAGAS[kind].events.get(event.step, event.step) if kind in SAGAS else event.step
    result = None if event.succeeded is None else "Success" if event.succeeded else "Error"
    shown = {
        "event": f"compute_{'undo_' if event.is_undo else ''}{name}",
        "start_time": microseconds(event.began_at),
        "finish_time": microseconds(event.ended_at),
        "result": result,
        "hostId": host_id(event.host, server.project_id),
    }
    if sees_all:
        shown |= {"traceback": event.details, "host": event.host}
    if sees_details:
        shown["details"] = event.message
    return INSTANCE_ACTION_EVENT.at(version, shown)


def _page(
    sagas: Sequence[Any], query: QueryParams, kit: Kit, server: Server
) -> tuple[Sequence[Any], list[dict[str, str]] | None]:
    """A server's timeline is short: it is cut here."""
    since, before = time_of(query, "changes-since"), time_of(query, "changes-before")
    if since is not None and before is not None and before < since:
        raise InvalidInput("The value of changes-since must be less than or equal to changes-before.")
    found = [
        saga
        for saga in sagas
        if (since is None or saga.updated_at >= since) and (before is None or saga.updated_at <= before)
    ]
    if (marker := query.get("marker")) is not None:
        at = next((index for index, saga in enumerate(found) if saga.request_id == marker), None)
        if at is None:
            raise InvalidInput(f"Marker {marker[:64]} could not be found.")
        found = found[at + 1 :]
    limit = limit_of(query, kit.settings.list_limit)
    page = found[:limit]
    if not page or len(page) < limit:
        return page, None
    path = f"/servers/{server.id}/os-instance-actions"
    return page, links.next_page(kit.url, path, query, page[-1].request_id)
