"""Which projects may use a flavor that is not public."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.errors import Conflict, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from services.compute.api.asking import Body, Version, router
from services.compute.api.kit import KitOf, Tx
from services.compute.api.schemas.flavors import AddAccess, RemoveAccess
from services.compute.api.schemas.parts import read

routes = router()


@routes.get("/flavors/{flavor_id}/os-flavor-access")
def list_access(flavor_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-flavor-access", caller)
    with kit.reading() as tx:
        if tx.flavors.find(flavor_id, project_id=None).is_public:
            raise NotFound("Access list not available for public flavors.")
        return Json(_listed(tx, flavor_id))


@routes.post("/flavors/{flavor_id}/action")
def change_access(flavor_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    name = _name_of(body)
    rule = {"addTenantAccess": "add_tenant_access", "removeTenantAccess": "remove_tenant_access"}.get(name)
    if rule is None:
        raise InvalidInput(f"There is no such action: {name[:64]}")
    kit.must(f"os-flavor-access:{rule}", caller)
    with kit.transaction() as tx:
        flavor = tx.flavors.find(flavor_id, project_id=None)
        if rule == "remove_tenant_access":
            tx.flavors.forbid(flavor_id, read(RemoveAccess, body, version).access.tenant)
        elif flavor.is_public:
            raise Conflict("Can not add access to a public flavor.")
        else:
            tx.flavors.allow(flavor_id, read(AddAccess, body, version).access.tenant)
        return Json(_listed(tx, flavor_id))


def _name_of(body: Any) -> str:
    if not isinstance(body, dict) or not body:
        raise InvalidInput("Malformed request body")
    return str(next(iter(body)))


def _listed(tx: Tx, flavor_id: str) -> dict[str, Any]:
    projects = tx.flavors.projects(flavor_id)
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}
