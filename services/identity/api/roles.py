"""Roles.  Identity API v3, "Roles".

A role may belong to a domain: it is given only there, and is there to imply others.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import Forbidden, InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.lost_roles import after_removing
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.roles import RoleBody, RoleChange, RoleChangeBody, RoleOptions
from services.identity.db import projects, roles
from services.identity.db.tables import Role

router = Router()

# fmt: off
RULES = {
    "identity:get_role":     "rule:cloud_reader or (role:manager and rule:domain_managed_target_role)",
    "identity:list_roles":   "rule:cloud_reader or rule:domain_manager",
    "identity:create_role":  "rule:admin",
    "identity:update_role":  "rule:admin",
    "identity:delete_role":  "rule:admin",
    "identity:get_domain_role":     "rule:cloud_reader",
    "identity:list_domain_roles":   "rule:cloud_reader",
    "identity:create_domain_role":  "rule:admin",
    "identity:update_domain_role":  "rule:admin",
    "identity:delete_domain_role":  "rule:admin",
}
# fmt: on

FILTERS = {"name": Role.name}


def shown(kit: Kit, role: Role) -> dict[str, Any]:
    return {
        **role.extra,
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id,
        "description": role.description,
        "options": role.options,
        "links": {"self": f"{kit.url}/roles/{role.id}"},
    }


@router.look("/v3/roles", "identity:list_roles", "identity:list_domain_roles", filters=(*FILTERS, "domain_id"))
def list_roles(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """Those of one domain if it is named, the global ones otherwise."""
    domain_id = request.query_params.get("domain_id") or None
    kit.policy.must("identity:list_domain_roles" if domain_id else "identity:list_roles", caller)
    query = select(Role).where(Role.domain_id == domain_id, *asked_for(request, FILTERS))  # None: IS NULL
    return answer(request, kit, "roles", query, Role.id, asked, lambda _, rows: [shown(kit, row) for row in rows])


@router.look("/v3/roles/{role_id}", "identity:get_role", "identity:get_domain_role")
def show_role(role_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        role = _allowed(kit, session, caller, role_id, "identity:get_role", "identity:get_domain_role")
        return Json({"role": shown(kit, role)})


@router.make("/v3/roles", "identity:create_role", "identity:create_domain_role", takes=RoleBody)
def create_role(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_role", caller, {})
    asked = parsed(RoleBody, body).role
    with kit.database.transaction() as session:
        if asked.domain_id is not None:
            kit.policy.must("identity:create_domain_role", caller, {"target.role.domain_id": asked.domain_id})
            projects.known_domain(session, asked.domain_id)
        role = Role(
            id=uuid4().hex,
            name=asked.name,
            domain_id=asked.domain_id,
            description=asked.description,
            options=_merged({}, asked.options),
            extra=asked.additions(),
        )
        return Json({"role": shown(kit, roles.stored(session, role))}, 201)


@router.change("/v3/roles/{role_id}", "identity:update_role", "identity:update_domain_role", takes=RoleChangeBody)
def change_role(role_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    with kit.database.transaction() as session:
        role = _allowed(kit, session, caller, role_id, "identity:update_role", "identity:update_domain_role")
        asked = parsed(RoleChangeBody, body).role
        _changeable(role, asked)
        for name in asked.model_fields_set & {"name", "description"}:
            setattr(role, name, getattr(asked, name))
        if "options" in asked.model_fields_set:
            role.options = _merged(role.options, asked.options)
        role.extra = role.extra | {name: value for name, value in asked.additions().items() if name != "id"}
        return Json({"role": shown(kit, roles.stored(session, role))})


@router.remove("/v3/roles/{role_id}", "identity:delete_role", "identity:delete_domain_role")
def delete_role(role_id: str, caller: Caller, kit: KitOf) -> None:
    """With everything that gives it; tokens that carry it end."""
    with kit.database.transaction() as session:
        role = _allowed(kit, session, caller, role_id, "identity:delete_role", "identity:delete_domain_role")
        if role.options.get("immutable"):
            raise _immutable("delete", role)
        events = after_removing(kit, session, role)
        roles.remove(session, role)
    for event in events:
        kit.bus.tell(event)


def _allowed(kit: Kit, session: Session, caller: Who, role_id: str, rule: str, domain_rule: str) -> Role:
    """Forbidden by the rule; NotFound"""
    role = session.get(Role, role_id)
    target = {} if role is None else {"target.role.name": role.name, "target.role.domain_id": role.domain_id}
    kit.policy.must(domain_rule if role is not None and role.domain_id is not None else rule, caller, target)
    return roles.known(session, role_id)


def _changeable(role: Role, asked: RoleChange) -> None:
    """An immutable role takes one change: that it is immutable no more.  Forbidden, InvalidInput"""
    given = asked.model_fields_set
    freed = given == {"options"} and "immutable" in asked.options.model_fields_set and not asked.options.immutable
    if role.options.get("immutable") and not freed:
        raise _immutable("update", role)
    if "domain_id" in given and asked.domain_id != role.domain_id:
        raise InvalidInput("Update of `domain_id` is not allowed.")
    if asked.additions().get("id", role.id) != role.id:
        raise InvalidInput("Cannot change role ID")


def _immutable(verb: str, role: Role) -> Forbidden:
    return Forbidden(
        f'Unable to {verb} immutable role resource: `{role.id}. Set resource option "immutable" to false first.'
    )


def _merged(options: dict[str, Any], asked: RoleOptions) -> dict[str, Any]:
    """An option that is set to null goes away."""
    named = {name: getattr(asked, name) for name in asked.model_fields_set}
    return {name: value for name, value in (options | named).items() if value is not None}
