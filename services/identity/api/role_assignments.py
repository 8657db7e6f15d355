"""All role assignments, filtered.  Identity API v3, "Roles - list role assignments"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import InvalidInput
from common.http.identity import Caller
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import listed, wants
from services.identity.api.routing import Router
from services.identity.core.role_assignments import Held, Named
from services.identity.db import projects, role_assignments
from services.identity.db.role_assignments import Wanted
from services.identity.db.tables import Project

router = Router()

# fmt: off
RULES = {
    "identity:list_role_assignments":           "rule:reader_above",
    "identity:list_role_assignments_for_tree":  "rule:reader_above",
}
INHERITED = "scope.OS-INHERIT:inherited_to"
FILTERS = (
    "user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system", INHERITED,
    "effective", "include_names", "include_subtree",
)
TOGETHER = {  # of which only one can be asked for
    ("scope.domain.id", "scope.project.id"):  "Specify a domain or project, not both",
    ("scope.domain.id", "scope.system"):      "Specify system or domain, not both",
    ("scope.project.id", "scope.system"):     "Specify system or project, not both",
    ("user.id", "group.id"):                  "Specify a user or group, not both",
}
# fmt: on


@router.look(
    "/v3/role_assignments", "identity:list_role_assignments", "identity:list_role_assignments_for_tree", filters=FILTERS
)
def list_role_assignments(request: Request, caller: Caller, kit: KitOf) -> Response:
    """Options: `effective` shows what users hold because of them, `include_names` names, `include_subtree` projects below."""
    query = request.query_params
    spread, named = wants(query.get("effective")), wants(query.get("include_names"))
    with kit.database.reading() as session:
        _allowed(kit, session, caller, query)
        _sensible(query, spread=spread)
        asked = _wanted(query, within=None if kit.policy.allows("cloud_reader", caller) else caller.domain_id)
        held = role_assignments.effective(session, asked) if spread else role_assignments.given(session, asked)
        return listed(request, kit, "role_assignments", [shown(kit, one, named=named) for one in held])


def _allowed(kit: Kit, session: Session, caller: Who, query: Mapping[str, str]) -> None:
    """Forbidden; NotFound or InvalidInput for a tree of no project."""
    if not wants(query.get("include_subtree")):
        kit.policy.must("identity:list_role_assignments", caller, {"domain_id": caller.domain_id})
        return
    project_id = query.get("scope.project.id")
    root = session.get(Project, project_id) if project_id else None
    kit.policy.must("identity:list_role_assignments_for_tree", caller, {"domain_id": root.domain_id if root else None})
    if not project_id:
        raise InvalidInput("scope.project.id must be specified if include_subtree is also specified")
    projects.known(session, project_id)


def _sensible(query: Mapping[str, str], *, spread: bool) -> None:
    """InvalidInput"""
    for names, complaint in TOGETHER.items():
        if all(query.get(name) for name in names):
            raise InvalidInput(complaint)
    if spread and query.get("group.id"):
        raise InvalidInput("Combining effective and group filter will always result in an empty list.")
    if spread and query.get("scope.domain.id") and query.get(INHERITED) == "projects":
        raise InvalidInput("Combining effective, domain and inherited filters will always result in an empty list.")


def _wanted(query: Mapping[str, str], *, within: str | None) -> Wanted:
    return Wanted(
        user_id=query.get("user.id") or None,
        group_id=query.get("group.id") or None,
        role_id=query.get("role.id") or None,
        project_id=query.get("scope.project.id") or None,
        domain_id=query.get("scope.domain.id") or None,
        system=bool(query.get("scope.system")),
        inherited=query[INHERITED] == "projects" if INHERITED in query else None,
        subtree=wants(query.get("include_subtree")),
        within=within,
    )


def shown(kit: Kit, held: Held, *, named: bool) -> dict[str, Any]:
    scope: dict[str, Any] = {held.kind: {"all": True} if held.kind == "system" else _shown(held.target, named=named)}
    links = {"assignment": _address(kit, held)}
    if held.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    if held.group is not None:
        links["membership"] = f"{kit.url}/groups/{held.group}/users/{held.who.id}"
    if held.prior is not None:
        links["prior_role"] = f"{kit.url}/prior_role/{held.prior}/implies/{held.role.id}"
    return {
        "links": links,
        "scope": scope,
        held.actor: _shown(held.who, named=named),
        "role": _shown(held.role, named=named),
    }


def _shown(what: Named, *, named: bool) -> dict[str, Any]:
    if not named:
        return {"id": what.id}
    domain = {"domain": {"id": what.domain.id, "name": what.domain.name}} if what.domain else {}
    return {"id": what.id, "name": what.name} | domain


def _address(kit: Kit, held: Held) -> str:
    """Where the assignment can be checked and taken back."""
    kind, target_id = held.source or (held.kind, held.target.id)
    place = "system" if kind == "system" else f"{kind}s/{target_id}"
    who = f"groups/{held.group}" if held.group else f"{held.actor}s/{held.who.id}"
    path = f"{place}/{who}/roles/{held.assigned}"
    return f"{kit.url}/OS-INHERIT/{path}/inherited_to_projects" if held.inherited else f"{kit.url}/{path}"
