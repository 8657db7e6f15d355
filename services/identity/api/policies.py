"""Policy documents that other services keep here.  Identity API v3, "Policies"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.changing import change
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.policies import ChangedPolicy, PolicyBody, PolicyChangeBody
from services.identity.db import policies
from services.identity.db.cloud_tables import PolicyDocument

router = Router()

# fmt: off
RULES = {
    "identity:get_policy":     "rule:cloud_reader",
    "identity:list_policies":  "rule:cloud_reader",
    "identity:create_policy":  "rule:admin",
    "identity:update_policy":  "rule:admin",
    "identity:delete_policy":  "rule:admin",
}
# fmt: on

FILTERS = {"type": PolicyDocument.type}


def shown(kit: Kit, policy: PolicyDocument) -> dict[str, Any]:
    return {
        **policy.extra,
        "id": policy.id,
        "type": policy.type,
        "blob": policy.blob,
        "links": {"self": f"{kit.url}/policies/{policy.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[PolicyDocument]) -> list[dict[str, Any]]:
    return [shown(kit, policy) for policy in found]


@router.look("/v3/policies", "identity:list_policies", filters=FILTERS)
def list_policies(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_policies", caller)
    query = select(PolicyDocument).where(*asked_for(request, FILTERS))
    return answer(request, kit, "policies", query, PolicyDocument.id, asked, partial(all_shown, kit))


@router.look("/v3/policies/{policy_id}", "identity:get_policy")
def show_policy(policy_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_policy", caller)
    with kit.database.reading() as session:
        return Json({"policy": shown(kit, policies.known(session, policy_id))})


@router.make("/v3/policies", "identity:create_policy", takes=PolicyBody)
def create_policy(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_policy", caller, {})
    asked = parsed(PolicyBody, body).policy
    policy = PolicyDocument(id=uuid4().hex, type=asked.type, blob=asked.blob, extra=asked.additions())
    with kit.database.transaction() as session:
        session.add(policy)
    return Json({"policy": shown(kit, policy)}, 201)


@router.change("/v3/policies/{policy_id}", "identity:update_policy", takes=PolicyChangeBody)
def update_policy(policy_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_policy", caller, {})
    with kit.database.transaction() as session:
        policy = policies.known(session, policy_id)
        asked: ChangedPolicy = change(PolicyChangeBody, body, "policy", policy_id)
        for name, value in asked.given("type", "blob").items():
            setattr(policy, name, value)
        policy.extra = policy.extra | asked.additions()
    return Json({"policy": shown(kit, policy)})


@router.remove("/v3/policies/{policy_id}", "identity:delete_policy")
def delete_policy(policy_id: str, caller: Caller, kit: KitOf) -> None:
    """Endpoints that it was for have none then."""
    kit.policy.must("identity:delete_policy", caller, {})
    with kit.database.transaction() as session:
        policies.remove(session, policies.known(session, policy_id))
