"""What became of moves and resizes; and of one server those that are under way, which only live migrations ever are."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from common.auth.callers import Caller as Who
from common.errors import Conflict, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import Actions, action, operation
from services.compute.api import links
from services.compute.api.asking import Body, Version, between, router
from services.compute.api.kit import Kit, KitOf, Tx, owner, scope_of
from services.compute.api.queries import limit_of, time_of
from services.compute.api.server_views import microseconds
from services.compute.api.versions import MIGRATION
from services.compute.core.states import VmState
from services.compute.db.migration_records import Wanted
from services.compute.db.servers import STATE, Server
from services.compute.db.tables import MigrationRow

routes = router()
ALL = "/os-migrations"
OF_SERVER = "/servers/{server_id}/migrations"
HOSTS = ("source_compute", "source_node", "dest_compute", "dest_host", "dest_node")
PAGED_SINCE, BEFORE_SINCE, OWNERS_SINCE = 59, 66, 80
ACTIONS: Actions = {}

RULES = {
    "os_compute_api:os-migrations:index": "rule:project_manager_or_admin",
    "os_compute_api:os-migrations:index:all_projects": "rule:admin",
    "os_compute_api:os-migrations:index:host": "rule:admin",
    "os_compute_api:servers:migrations:index": "rule:project_manager_or_admin",
    "os_compute_api:servers:migrations:show": "rule:admin",
    "os_compute_api:servers:migrations:force_complete": "rule:project_manager_or_admin",
    "os_compute_api:servers:migrations:delete": "rule:project_manager_or_admin",
}


@routes.get(ALL)
@operation(
    "os_compute_api:os-migrations:index",
    "os_compute_api:os-migrations:index:all_projects",
    "os_compute_api:os-migrations:index:host",
)
def list_migrations(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Newest first; who may not see all projects' sees the own one's, and no hosts."""
    kit.must("os-migrations:index", caller)
    query, is_paged = request.query_params, version >= PAGED_SINCE
    sees_all, sees_hosts = (kit.allows(f"os-migrations:index:{what}", caller) for what in ("all_projects", "host"))
    wanted = _wanted(request, version, None if sees_all else caller.project_id or "")
    limit = limit_of(query, kit.settings.list_limit)
    with kit.reading() as tx:
        rows = tx.migrations.page(wanted, marker=query.get("marker") if is_paged else None, limit=limit)
    more = links.next_page(kit.url, ALL, query, rows[-1].id) if is_paged and rows and len(rows) == limit else None
    return Json(links.paged("migrations", [_shown(row, version, sees_hosts) for row in rows], more))


@routes.get(OF_SERVER, dependencies=[between(23)])
@operation("os_compute_api:servers:migrations:index")
def list_migrations_of_server(server_id: str, caller: Caller, kit: KitOf) -> Response:
    """Live migrations under way: there is no other host yet that one could go to."""
    with kit.reading() as tx:
        _seen(tx, server_id, caller, kit, "index")
    return Json({"migrations": []})


@routes.get(OF_SERVER + "/{migration_id}", dependencies=[between(23)])
@operation("os_compute_api:servers:migrations:show")
def show_migration(server_id: str, migration_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.reading() as tx:
        server = _seen(tx, server_id, caller, kit, "show")
        raise _missing(tx, server, migration_id)


@routes.delete(OF_SERVER + "/{migration_id}", dependencies=[between(24)])
@operation("os_compute_api:servers:migrations:delete")
def abort_migration(server_id: str, migration_id: str, caller: Caller, kit: KitOf) -> Response:
    """Only while the server is on its way.  Conflict"""
    with kit.reading() as tx:
        server = _seen(tx, server_id, caller, kit, "delete")
    raise Conflict(f"Cannot 'abort live migration' instance {server.id} while it is in task_state {server.task_state}")


@routes.post(OF_SERVER + "/{migration_id}/action", dependencies=[between(22)])
@operation(actions=ACTIONS)
def act_on_migration(
    server_id: str, migration_id: str, body: Body, caller: Caller, kit: KitOf, version: Version
) -> Response:
    """`{"force_complete": null}`"""
    if not isinstance(body, dict) or list(body) != ["force_complete"] or body["force_complete"] is not None:
        raise InvalidInput("There is no such action, or its options are malformed")
    found: Response = ACTIONS["force_complete"](server_id, migration_id, caller, kit)
    return found


@action(ACTIONS, "force_complete", "os_compute_api:servers:migrations:force_complete")
def _force_complete(server_id: str, migration_id: str, caller: Who, kit: Kit) -> Response:
    with kit.reading() as tx:
        server = _seen(tx, server_id, caller, kit, "force_complete")
        if server.vm_state != VmState.ACTIVE:
            raise Conflict(f"Cannot 'force_complete' instance {server.id} while it is in vm_state {server.vm_state}")
        if (row := tx.migrations.of_server(server.id, migration_id)) is not None:
            raise InvalidInput(
                f"Migration {row.number} state of instance {server.id} is {row.status}. "
                "Cannot force_complete while the migration is in this state."
            )
        raise NotFound(f"Migration {migration_id[:64]} not found for instance {server.id}")


def _seen(tx: Tx, server_id: str, caller: Who, kit: Kit, verb: str) -> Server:
    server = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
    kit.must(f"servers:migrations:{verb}", caller, owner(server))
    return server


def _missing(tx: Tx, server: Server, migration_id: str) -> NotFound:
    if (row := tx.migrations.of_server(server.id, migration_id)) is not None:
        return NotFound(f"Migration {row.number} for server {server.id} is not live-migration.")
    return NotFound(f"Migration {migration_id[:64]} for server {server.id} could not be found.")


def _wanted(request: Request, version: int, only: str | None) -> Wanted:
    query = request.query_params
    since = time_of(query, "changes-since") if version >= PAGED_SINCE else None
    before = time_of(query, "changes-before") if version >= BEFORE_SINCE else None
    if since is not None and before is not None and before < since:
        raise InvalidInput("The value of changes-since must be less than or equal to changes-before.")
    owners = query if version >= OWNERS_SINCE else {}
    return Wanted(
        host=query.get("host"),
        source=query.get("source_compute"),
        server=query.get("instance_uuid"),
        status=query.get("status"),
        kind=query.get("migration_type"),
        project_id=owners.get("project_id") if only is None else only,
        user_id=owners.get("user_id"),
        since=since,
        before=before,
    )


def _shown(row: MigrationRow, version: int, sees_hosts: bool) -> dict[str, Any]:
    migration = {
        "id": row.number,
        "uuid": str(row.id),
        "instance_uuid": str(row.server_id),
        "migration_type": row.kind,
        "status": row.status,
        "source_compute": row.source,
        "source_node": row.source,
        "dest_compute": row.destination,
        "dest_node": row.destination,
        "dest_host": row.destination_address,
        "old_instance_type_id": row.old_flavor,
        "new_instance_type_id": row.new_flavor,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "created_at": microseconds(row.created_at),
        "updated_at": microseconds(row.updated_at),
    }
    if not sees_hosts:
        migration |= dict.fromkeys(HOSTS)
    return MIGRATION.at(version, migration)
