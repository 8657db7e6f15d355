"""Roles that follow from others.  Identity API v3, "Roles - list, create, show, delete role inference rule"."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.errors import Forbidden
from common.http.identity import Caller
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lost_roles import after_unlinking
from services.identity.api.routing import Router
from services.identity.db import implied_roles, roles
from services.identity.db.tables import Role

router = Router()

# fmt: off
RULES = {
    "identity:list_role_inference_rules":  "rule:cloud_reader",
    "identity:list_implied_roles":         "rule:cloud_reader",
    "identity:get_implied_role":           "rule:cloud_reader",
    "identity:check_implied_role":         "rule:cloud_reader",
    "identity:create_implied_role":        "rule:admin",
    "identity:delete_implied_role":        "rule:admin",
}
# fmt: on

PROHIBITED = ("admin",)
"""Names of roles that must not follow from others: nobody would see who has them."""


@router.look("/v3/role_inferences", "identity:list_role_inference_rules")
def list_all(caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:list_role_inference_rules", caller)
    with kit.database.reading() as session:
        rules = [_rule(kit, prior, implied) for prior, implied in implied_roles.all_rules(session)]
    return Json({"role_inferences": rules, "links": {"self": f"{kit.url}/role_inferences"}})


@router.look("/v3/roles/{prior_id}/implies", "identity:list_implied_roles")
def list_implied(prior_id: str, caller: Caller, kit: KitOf) -> Response:
    """Those that follow directly."""
    kit.policy.must("identity:list_implied_roles", caller)
    with kit.database.reading() as session:
        prior = roles.known(session, prior_id)
        rule = _rule(kit, prior, implied_roles.of(session, prior_id))
    return Json({"role_inference": rule, "links": {"self": f"{kit.url}/roles/{prior_id}/implies"}})


@router.look("/v3/roles/{prior_id}/implies/{implied_id}", "identity:check_implied_role", "identity:get_implied_role")
def show_implied(request: Request, prior_id: str, implied_id: str, caller: Caller, kit: KitOf) -> Response:
    """HEAD answers 204."""
    only_asks = request.method == "HEAD"
    kit.policy.must("identity:check_implied_role" if only_asks else "identity:get_implied_role", caller)
    with kit.database.reading() as session:
        prior, implied = roles.known(session, prior_id), roles.known(session, implied_id)
        implied_roles.known(session, prior_id, implied_id)
        return Response(status_code=204) if only_asks else Json(_shown(kit, prior, implied))


@router.assign("/v3/roles/{prior_id}/implies/{implied_id}", "identity:create_implied_role", status=201)
def create_implied(prior_id: str, implied_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_implied_role", caller, {})
    with kit.database.transaction() as session:
        prior, implied = roles.known(session, prior_id), roles.known(session, implied_id)
        _may_follow(session, prior, implied)
        implied_roles.add(session, prior_id, implied_id)
        return Json(_shown(kit, prior, implied), 201)


@router.remove("/v3/roles/{prior_id}/implies/{implied_id}", "identity:delete_implied_role")
def delete_implied(prior_id: str, implied_id: str, caller: Caller, kit: KitOf) -> None:
    """Tokens that carry the prior role end."""
    kit.policy.must("identity:delete_implied_role", caller, {})
    with kit.database.transaction() as session:
        prior, implied = roles.known(session, prior_id), roles.known(session, implied_id)
        session.delete(implied_roles.known(session, prior_id, implied_id))
        events = after_unlinking(kit, session, prior, implied)
    for event in events:
        kit.bus.tell(event)


def _may_follow(session: Session, prior: Role, implied: Role) -> None:
    """Forbidden"""
    if implied.name in PROHIBITED:
        raise Forbidden(f"{implied.id} cannot be an implied roles.")
    if prior.domain_id is None and implied.domain_id is not None:
        raise Forbidden("Global role cannot imply a domain-specific role")
    if any(role.id == prior.id for role in roles.implied_by(session, [implied.id])):
        raise Forbidden(f"{implied.id} cannot be an implied roles. It implies {prior.id} itself.")


def _shown(kit: Kit, prior: Role, implied: Role) -> dict[str, Any]:
    rule = {"prior_role": _linked(kit, prior), "implies": _linked(kit, implied)}
    return {"role_inference": rule, "links": {"self": f"{kit.url}/roles/{prior.id}/implies/{implied.id}"}}


def _rule(kit: Kit, prior: Role, implied: list[Role]) -> dict[str, Any]:
    return {"prior_role": _linked(kit, prior), "implies": [_linked(kit, role) for role in implied]}


def _linked(kit: Kit, role: Role) -> dict[str, Any]:
    return {"id": role.id, "name": role.name, "links": {"self": f"{kit.url}/roles/{role.id}"}}
