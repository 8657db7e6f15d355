"""Servers: made, looked at, changed, deleted.  What is done to them in between is in `server_actions.py`."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from common.auth.callers import Caller as Who
from common.errors import Conflict, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api import links
from services.compute.api.acting import allowed
from services.compute.api.asking import Body, Version, empty, router
from services.compute.api.kit import Kit, KitOf, Tx, owner, scope_of
from services.compute.api.queries import limit_of, truth_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import ChangedServer, CreateServer, UpdateServer, must_be_hostname
from services.compute.api.server_ends import end
from services.compute.api.server_filters import Filters, filters_of
from services.compute.api.server_order import Order, order_of, rows_of
from services.compute.api.server_prospects import would_go
from services.compute.api.server_views import SEEN_BY, created, look_at, named, shown
from services.compute.api.versions import UPDATED_SERVER
from services.compute.db.server_lists import NAMED
from services.compute.db.servers import DETAIL, Server
from services.compute.sagas import BOOT_SERVER, BootServer

routes = router()


@routes.post("/servers")
@operation(
    "os_compute_api:servers:create",
    "os_compute_api:servers:create:attach_volume",
    "os_compute_api:servers:create:attach_network",
    "os_compute_api:servers:create:forced_host",
    "compute:servers:create:requested_destination",
    takes=CreateServer,
    filters=("dry_run",),
)
def create_server(request: Request, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Quota, rows and the sagas that boot them: all or nothing; the work begins after the commit.

    `?dry_run=true` answers where they would go and why, and changes nothing.
    """
    asked = read(CreateServer, body, version)
    order = order_of(asked, caller, kit, version)
    if truth_of(request.query_params.get("dry_run", "false"), "dry_run"):
        with kit.trying() as tx:
            rows = _admitted(order, caller, tx)
            tx.servers.add(rows)
            _join_group(order, rows, caller, tx)
            return would_go(rows, tx, caller, kit)
    with kit.transaction() as tx:
        rows = _admitted(order, caller, tx)
        tx.servers.add(rows)
        _join_group(order, rows, caller, tx)
        for row in rows:
            tx.sagas.start(
                BOOT_SERVER,
                BootServer(server_id=row["id"]),
                resource_id=row["id"],
                project_id=caller.project_id,
                user_id=caller.user_id,
            )
    if asked.server.return_reservation_id:
        return Json({"reservation_id": rows[0]["reservation_id"]}, 202)
    groups = body["server"].get("security_groups") or [{"name": "default"}]
    server = created(rows[0], kit.url, groups)
    return Json({"server": server}, 202, {"Location": server["links"][0]["href"]})


@routes.get("/servers")
@operation(
    "os_compute_api:servers:index",
    "os_compute_api:servers:index:get_all_tenants",
    "os_compute_api:servers:allow_all_filters",
)
def list_servers(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("servers:index", caller)
    filters = filters_of(request.query_params, caller, kit, version, whole=False)
    with kit.reading() as tx:
        rows = _page(tx, request, filters, kit, whole=False)
    return Json(links.paged("servers", [named(row, kit.url) for row in rows], _next(request, kit, rows)))


@routes.get("/servers/detail")
@operation(
    "os_compute_api:servers:detail",
    "os_compute_api:servers:detail:get_all_tenants",
    "os_compute_api:servers:allow_all_filters",
    *SEEN_BY,
)
def list_servers_whole(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("servers:detail", caller)
    filters = filters_of(request.query_params, caller, kit, version, whole=True)
    with kit.reading() as tx:
        rows = _page(tx, request, filters, kit, whole=True)
        look = look_at(kit, tx, caller, version, rows)
    return Json(links.paged("servers", [shown(row, look) for row in rows], _next(request, kit, rows)))


@routes.get("/servers/{server_id}")
@operation("os_compute_api:servers:show", *SEEN_BY)
def show_server(server_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    with kit.reading() as tx:
        row = tx.servers.find(server_id, project_id=scope_of(caller))
        kit.must("servers:show", caller, owner(row))
        look = look_at(kit, tx, caller, version, [row], alone=True)
    return Json({"server": shown(row, look, alone=True)})


@routes.put("/servers/{server_id}")
@operation("os_compute_api:servers:update", *SEEN_BY, takes=UpdateServer)
def update_server(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    asked = read(UpdateServer, body, version).server
    must_be_hostname(asked.hostname, version)
    with kit.transaction() as tx:
        server = tx.servers.locked(server_id, project_id=scope_of(caller))
        kit.must("servers:update", caller, owner(server))
        tx.servers.change(server.id, **_changes(asked, server))
        row = tx.servers.find(server.id, project_id=None)
        look = look_at(kit, tx, caller, version, [row], alone=True)
    return Json({"server": UPDATED_SERVER.at(version, shown(row, look, alone=True))})


@routes.delete("/servers/{server_id}")
@operation("os_compute_api:servers:delete")
def delete_server(server_id: str, caller: Caller, kit: KitOf) -> Response:
    """From any state; while it is being deleted, asking again changes nothing."""
    with kit.transaction() as tx:
        server = allowed(tx, "servers:delete", server_id, caller, kit)
        end(tx, server, caller, kit)
    return empty(204)


def _admitted(order: Order, caller: Who, tx: Tx) -> list[dict[str, Any]]:
    """As many rows as the project's quota allows, counted while no other request can add to it.  OverQuota"""
    count = tx.quotas.admit_servers(
        order.one, order.least, order.most, project_id=str(caller.project_id), user_id=caller.user_id
    )
    return rows_of(order, count, caller)


def _join_group(order: Order, rows: list[dict[str, Any]], caller: Who, tx: Tx) -> None:
    """Of the hint `group`.  InvalidInput for a group that is not the project's, OverQuota"""
    if (given := order.hints.get("group")) is None:
        return
    try:
        group = tx.server_groups.find(str(given), project_id=caller.project_id or "")
    except NotFound as error:
        raise InvalidInput(error.message) from error
    tx.quotas.admit_members(group.id, len(rows), project_id=str(caller.project_id), user_id=caller.user_id)
    tx.server_groups.join(group.id, [row["id"] for row in rows])


def _changes(asked: ChangedServer, server: Server) -> dict[str, Any]:
    """Column -> value of what the body names."""
    given = {name: getattr(asked, name) for name in asked.model_fields_set}
    for name in ("access_ipv4", "access_ipv6"):
        if name in given:
            given[name] = given[name] or None
    if "pinned_availability_zone" in given:
        given["wanted_zone"] = _pinned(given.pop("pinned_availability_zone"), server)
    return given


def _pinned(wanted: str | None, server: Server) -> str | None:
    """Unpinned with None; pinned only to the zone where it is, and not while it is pinned elsewhere.  Conflict"""
    now, _, host = (server.wanted_zone or "").partition(":")
    if wanted is not None and wanted != now:
        if now:
            raise Conflict(
                f"Cannot change pinned availability zone from {now} to {wanted}. Unpin the server first by "
                "setting pinned_availability_zone to null."
            )
        if wanted != server.zone:
            raise Conflict(
                f"Cannot pin server to availability zone {wanted}: it is in availability zone {server.zone or ''}."
            )
    return f"{wanted or ''}:{host}" if host else wanted


def _page(tx: Tx, request: Request, filters: Filters, kit: Kit, *, whole: bool) -> list[Server]:
    return list(
        tx.server_lists.page(
            filters.wanted,
            DETAIL if whole else NAMED,
            sorts=filters.sorts,
            marker=request.query_params.get("marker"),
            limit=limit_of(request.query_params, kit.settings.list_limit),
        )
    )


def _next(request: Request, kit: Kit, rows: list[Server]) -> list[dict[str, str]] | None:
    if not rows or len(rows) < limit_of(request.query_params, kit.settings.list_limit):
        return None
    return links.next_page(kit.url, request.url.path.removeprefix("/v2.1"), request.query_params, rows[-1].id)
