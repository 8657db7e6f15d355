"""The access rules that a user's application credentials are bound by.  Identity API v3, "Application Credentials"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.http.identity import Caller
from common.http.json import Json
from services.identity.api.delegation import must_have_full_power
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Router
from services.identity.db import application_credentials
from services.identity.db.delegation_tables import AccessRule

router = Router()
OWN = "/v3/users/{user_id}/access_rules"

# fmt: off
RULES = {
    "identity:get_access_rule":     "(role:reader and system_scope:all) or rule:owner",
    "identity:list_access_rules":   "(role:reader and system_scope:all) or rule:owner",
    "identity:delete_access_rule":  "(role:admin and system_scope:all) or rule:owner",
}
# fmt: on

FILTERS = {"service": AccessRule.service, "path": AccessRule.path, "method": AccessRule.method}


def brief(rule: AccessRule) -> dict[str, Any]:
    return {"id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method}


def shown(kit: Kit, rule: AccessRule) -> dict[str, Any]:
    return brief(rule) | {"links": {"self": f"{kit.url}/users/{rule.user_id}/access_rules/{rule.id}"}}


def _all_shown(kit: Kit, session: Session, found: Sequence[AccessRule]) -> list[dict[str, Any]]:
    return [shown(kit, one) for one in found]


@router.look(OWN, "identity:list_access_rules", filters=FILTERS)
def list_access_rules(request: Request, user_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_access_rules", caller, {"user_id": user_id})
    query = select(AccessRule).where(AccessRule.user_id == user_id, *asked_for(request, FILTERS))
    return answer(request, kit, "access_rules", query, AccessRule.id, asked, partial(_all_shown, kit))


@router.look(OWN + "/{rule_id}", "identity:get_access_rule")
def show_access_rule(user_id: str, rule_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_access_rule", caller, {"user_id": user_id})
    with kit.database.reading() as session:
        return Json({"access_rule": shown(kit, application_credentials.known_rule(session, user_id, rule_id))})


@router.remove(OWN + "/{rule_id}", "identity:delete_access_rule")
def delete_access_rule(user_id: str, rule_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:delete_access_rule", caller, {"user_id": user_id})
    must_have_full_power(caller, "identity:delete_access_rule")
    with kit.database.transaction() as session:
        application_credentials.remove_rule(session, application_credentials.known_rule(session, user_id, rule_id))
