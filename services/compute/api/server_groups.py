"""Server groups: which servers should share a host, and which should not."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import Request, Response

from common.clock import utc_now
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, empty, router
from services.compute.api.kit import KitOf, scope_of
from services.compute.api.queries import limit_of, whole_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.server_groups import CreateServerGroup, policy_of
from services.compute.api.versions import SERVER_GROUP
from services.compute.core.server_groups import GroupPolicy

routes = router()


@routes.get("/os-server-groups")
@operation("os_compute_api:os-server-groups:index", "os_compute_api:os-server-groups:index:all_projects")
def list_groups(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """`all_projects` is for administrators; others see their own with it, too, as in Nova.

    `openstack` asks for the next page by `marker`, which 2.75 then refuses.
    """
    kit.must("os-server-groups:index", caller)
    query = request.query_params
    sees_all = "all_projects" in query and kit.allows("os-server-groups:index:all_projects", caller)
    offset, limit = whole_of(query, "offset"), limit_of(query, kit.settings.list_limit)
    with kit.reading() as tx:
        rows = tx.server_groups.page(
            project_id=None if sees_all else caller.project_id or "",
            marker=query.get("marker"),
            offset=offset,
            limit=limit,
        )
        members = tx.server_groups.members([row.id for row in rows])
    return Json({"server_groups": [_shown(row, members[row.id], version) for row in rows]})


@routes.post("/os-server-groups")
@operation("os_compute_api:os-server-groups:create", takes=CreateServerGroup)
def create_group(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-server-groups:create", caller)
    asked = read(CreateServerGroup, body, version).server_group
    policy = policy_of(asked, body, version)
    rules = asked.rules.model_dump(exclude_none=True) if asked.rules else {}
    if rules and policy is not GroupPolicy.ANTI_AFFINITY:
        raise InvalidInput("Only anti-affinity policy supports rules.")
    row = {
        "id": uuid4(),
        "project_id": str(caller.project_id),
        "user_id": caller.user_id,
        "name": asked.name,
        "policy": str(policy),
        "rules": rules,
        "created_at": utc_now(),
    }
    with kit.transaction() as tx:
        tx.quotas.admit_server_group(project_id=str(caller.project_id), user_id=caller.user_id)
        tx.server_groups.add(row)
        made = tx.server_groups.find(str(row["id"]), project_id=None)
    return Json({"server_group": _shown(made, [], version)})


@routes.get("/os-server-groups/{server_group_id}")
@operation("os_compute_api:os-server-groups:show")
def show_group(server_group_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    with kit.reading() as tx:
        row = tx.server_groups.find(server_group_id, project_id=scope_of(caller))
        kit.must("os-server-groups:show", caller, {"project_id": row.project_id})
        members = tx.server_groups.members([row.id])
    return Json({"server_group": _shown(row, members[row.id], version)})


@routes.delete("/os-server-groups/{server_group_id}")
@operation("os_compute_api:os-server-groups:delete")
def delete_group(server_group_id: str, caller: Caller, kit: KitOf) -> Response:
    """Its servers stay where they are."""
    with kit.transaction() as tx:
        row = tx.server_groups.find(server_group_id, project_id=scope_of(caller))
        kit.must("os-server-groups:delete", caller, {"project_id": row.project_id})
        tx.server_groups.remove(row.id)
    return empty(204)


def _shown(row: Any, members: list[str], version: int) -> dict[str, Any]:
    group = {
        "id": str(row.id),
        "name": row.name,
        "policy": row.policy,
        "rules": row.rules,
        "members": members,
        "project_id": row.project_id,
        "user_id": row.user_id,
    }
    return SERVER_GROUP.at(version, group)
