"""All role assignments, filtered.  Identity API v3, "Roles - list role assignments"."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from common.errors import InvalidInput
from common.http.identity import Caller
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import listed, reach, wants
from services.identity.api.routing import Router
from services.identity.core.role_assignments import Held, Named, effective
from services.identity.db import role_assignments
from services.identity.db.lists import Filters
from services.identity.db.tables import Assignment

router = Router()

# fmt: off
RULES = {
    "identity:list_role_assignments": "rule:reader_above",
}
# fmt: on


@router.look("/v3/role_assignments", "identity:list_role_assignments")
def list_role_assignments(request: Request, caller: Caller, kit: KitOf) -> Response:
    """Options: `effective` adds implied roles, `include_names` names.  Nobody has a role through a group yet."""
    query = request.query_params
    within = reach(kit, "identity:list_role_assignments", caller, None)
    spread, role_id = wants(query.get("effective")), query.get("role.id")
    if spread and "group.id" in query:
        raise InvalidInput("Combining effective and group filter will always result in an empty list.")
    if "group.id" in query or "scope.OS-INHERIT:inherited_to" in query:
        return listed(request, kit, "role_assignments", [])
    with kit.database.reading() as session:
        held = role_assignments.found(session, _filters(request, None if spread else role_id), within=within)
        if spread:
            held = list(effective(held, role_assignments.implied(session)))
    shown_ones = [one for one in held if role_id in (None, one.role.id)]
    named = wants(query.get("include_names"))
    return listed(request, kit, "role_assignments", [shown(kit, one, named=named) for one in shown_ones])


def _filters(request: Request, role_id: str | None) -> Filters:
    query = request.query_params
    places = {"project": query.get("scope.project.id"), "domain": query.get("scope.domain.id")}
    if wants(query.get("scope.system")):
        places["system"] = "all"
    asked = [(kind, target_id) for kind, target_id in places.items() if target_id]
    if len(asked) > 1:
        raise InvalidInput("Specify a domain, a project or the system, not several of them.")
    kind, target_id = asked[0] if asked else (None, None)
    return {
        Assignment.actor_id: query.get("user.id"),
        Assignment.role_id: role_id,
        Assignment.kind: kind,
        Assignment.target_id: target_id,
    }


def shown(kit: Kit, held: Held, *, named: bool) -> dict[str, Any]:
    links = {"assignment": _address(kit, held)}
    if held.prior is not None:
        links["prior_role"] = f"{kit.url}/prior_roles/{held.prior}/implies/{held.role.id}"
    on = {"all": True} if held.kind == "system" else _shown(held.target, named=named)
    return {
        "links": links,
        "scope": {held.kind: on},
        "user": _shown(held.user, named=named),
        "role": _shown(held.role, named=named),
    }


def _shown(what: Named, *, named: bool) -> dict[str, Any]:
    if not named:
        return {"id": what.id}
    domain = {"domain": {"id": what.domain.id, "name": what.domain.name}} if what.domain else {}
    return {"id": what.id, "name": what.name} | domain


def _address(kit: Kit, held: Held) -> str:
    place = "system" if held.kind == "system" else f"{held.kind}s/{held.target.id}"
    return f"{kit.url}/{place}/users/{held.user.id}/roles/{held.assigned}"
