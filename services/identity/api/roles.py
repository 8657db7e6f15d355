"""Roles.  Identity API v3, "Roles"."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy import select

from common.http.identity import Caller
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, listed
from services.identity.api.routing import Router
from services.identity.db import roles
from services.identity.db.lists import matching, page
from services.identity.db.tables import Role

router = Router()

# fmt: off
RULES = {
    "identity:get_role":    "rule:cloud_reader or rule:domain_manager",
    "identity:list_roles":  "rule:cloud_reader or rule:domain_manager",
}
# fmt: on


def shown(kit: Kit, role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id,
        "description": role.description,
        "options": role.options,
        "links": {"self": f"{kit.url}/roles/{role.id}"},
    }


@router.look("/v3/roles", "identity:list_roles")
def list_roles(
    request: Request, caller: Caller, kit: KitOf, asked: PageOf, name: str | None = None, domain_id: str | None = None
) -> Response:
    """Those of one domain if it is named, the global ones otherwise."""
    kit.policy.must("identity:list_roles", caller)
    query = matching(select(Role), {Role.name: name}).where(Role.domain_id == domain_id)  # None: IS NULL
    with kit.database.reading() as session:
        rows, more = page(session, query, Role.id, asked)
        return listed(request, kit, "roles", [shown(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/roles/{role_id}", "identity:get_role")
def show_role(role_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_role", caller)
    with kit.database.reading() as session:
        return Json({"role": shown(kit, roles.known(session, role_id))})
