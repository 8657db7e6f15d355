"""Which projects may use a flavor that is not public."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import Conflict, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import Actions, action, operation
from services.compute.api.asking import Body, Version, router
from services.compute.api.kit import Kit, KitOf, Tx, must_be_project
from services.compute.api.schemas.flavors import Access, AddAccess, RemoveAccess
from services.compute.api.schemas.parts import read

REFUSED_SINCE = 7  # before, a public flavor took what does nothing for it

routes = router()
ACTIONS: Actions = {}


@routes.get("/flavors/{flavor_id}/os-flavor-access")
@operation("os_compute_api:os-flavor-access")
def list_access(flavor_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-flavor-access", caller)
    with kit.reading() as tx:
        if tx.flavors.find(flavor_id, project_id=None).is_public:
            raise NotFound("Access list not available for public flavors.")
        return Json(_listed(tx, flavor_id))


@routes.post("/flavors/{flavor_id}/action")
@operation(actions=ACTIONS)
def change_access(flavor_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    name = _name_of(body)
    if name not in ACTIONS:
        raise InvalidInput(f"There is no such action: {name[:64]}")
    answer: Response = ACTIONS[name](flavor_id, body, caller, kit, version)
    return answer


@action(ACTIONS, "addTenantAccess", "os_compute_api:os-flavor-access:add_tenant_access", takes=Access)
def _allow(flavor_id: str, body: Any, caller: Who, kit: Kit, version: int) -> Response:
    kit.must("os-flavor-access:add_tenant_access", caller)
    project_id = read(AddAccess, body, version).access.tenant
    must_be_project(kit, project_id, caller)
    with kit.transaction() as tx:
        if tx.flavors.find(flavor_id, project_id=None).is_public and version >= REFUSED_SINCE:
            raise Conflict("Can not add access to a public flavor.")
        tx.flavors.allow(flavor_id, project_id)
        return Json(_listed(tx, flavor_id))


@action(ACTIONS, "removeTenantAccess", "os_compute_api:os-flavor-access:remove_tenant_access", takes=Access)
def _forbid(flavor_id: str, body: Any, caller: Who, kit: Kit, version: int) -> Response:
    """Also from a project that is gone."""
    kit.must("os-flavor-access:remove_tenant_access", caller)
    project_id = read(RemoveAccess, body, version).access.tenant
    with kit.transaction() as tx:
        tx.flavors.find(flavor_id, project_id=None)
        tx.flavors.forbid(flavor_id, project_id)
        return Json(_listed(tx, flavor_id))


def _name_of(body: Any) -> str:
    if not isinstance(body, dict) or not body:
        raise InvalidInput("Malformed request body")
    return str(next(iter(body)))


def _listed(tx: Tx, flavor_id: str) -> dict[str, Any]:
    projects = tx.flavors.projects(flavor_id)
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}
