"""What single projects and domains may have of a resource.  Identity API v3, "Unified limits"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import ColumnElement, false, true
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.changing import change
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import expecting
from services.identity.api.schemas.limits import ChangedLimit, LimitBody, LimitsBody, NewLimit
from services.identity.db import limits
from services.identity.db.cloud_tables import Limit, RegisteredLimit
from services.identity.db.tables import Domain, Project

router = Router()

# fmt: off
RULES = {
    "identity:get_limit_model":  "rule:everybody",
    "identity:get_limit":        "rule:cloud_reader or domain_id:%(domain_id)s or project_id:%(project_id)s",
    "identity:list_limits":      "rule:everybody",
    "identity:create_limits":    "rule:admin",
    "identity:update_limit":     "rule:admin",
    "identity:delete_limit":     "rule:admin",
}
# fmt: on

FILTERS = {
    "service_id": RegisteredLimit.service_id,
    "region_id": RegisteredLimit.region_id,
    "resource_name": RegisteredLimit.resource_name,
}
FLAT = {
    "name": "flat",
    "description": "Limit enforcement and validation does not take project hierarchy into consideration.",
}


def all_shown(kit: Kit, session: Session, found: Sequence[Limit]) -> list[dict[str, Any]]:
    """With what they replace, which costs one query."""
    replaced = limits.replaced(session, found)
    return [_shown(kit, limit, replaced[limit.registered_limit_id]) for limit in found]


def _shown(kit: Kit, limit: Limit, resource: RegisteredLimit) -> dict[str, Any]:
    return {
        "id": limit.id,
        "project_id": limit.owner_id if limit.owner == "project" else None,
        "domain_id": limit.owner_id if limit.owner == "domain" else None,
        "service_id": resource.service_id,
        "region_id": resource.region_id or None,
        "resource_name": resource.resource_name,
        "resource_limit": limit.resource_limit,
        "description": limit.description,
        "links": {"self": f"{kit.url}/limits/{limit.id}"},
    }


@router.look("/v3/limits/model", "identity:get_limit_model")
def show_model(caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_limit_model", caller)
    return Json({"model": FLAT})


@router.look("/v3/limits", "identity:list_limits", filters=(*FILTERS, "project_id", "domain_id"))
def list_limits(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """Those of the token's scope: all of them, its domain's, or its project's."""
    kit.policy.must("identity:list_limits", caller)
    query = limits.those().where(_in_scope(caller), *asked_for(request, FILTERS))
    if (project_id := request.query_params.get("project_id")) is not None:
        query = query.where(limits.of_project(project_id))
    if (domain_id := request.query_params.get("domain_id")) is not None:
        query = query.where(limits.of_domain(domain_id))
    return answer(request, kit, "limits", query, Limit.id, asked, partial(all_shown, kit))


def _in_scope(caller: Who) -> ColumnElement[bool]:
    if caller.is_system:
        return true()
    if caller.domain_id is not None:
        return limits.within(caller.domain_id)
    return limits.of_project(caller.project_id) if caller.project_id is not None else false()


@router.look("/v3/limits/{limit_id}", "identity:get_limit")
def show_limit(limit_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        found = session.get(Limit, limit_id)
        kit.policy.must("identity:get_limit", caller, _target(session, found))
        [limit] = all_shown(kit, session, [limits.known(session, limit_id)])
    return Json({"limit": limit})


def _target(session: Session, limit: Limit | None) -> dict[str, str | None]:
    if limit is None:
        return {}
    if limit.owner == "domain":
        return {"domain_id": limit.owner_id}
    project = session.get(Project, limit.owner_id)
    return {"project_id": limit.owner_id, "domain_id": project.domain_id if project else None}


@router.make("/v3/limits", "identity:create_limits", takes=LimitsBody)
def create_limits(body: Body, caller: Caller, kit: KitOf) -> Response:
    """All of them, or none."""
    kit.policy.must("identity:create_limits", caller, {})
    asked = parsed(LimitsBody, body).limits
    with kit.database.transaction() as session:
        made = all_shown(kit, session, [_made(session, one) for one in asked])
    return Json({"limits": made}, 201)


@router.change("/v3/limits/{limit_id}", "identity:update_limit", takes=LimitBody)
def update_limit(limit_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_limit", caller, {})
    with kit.database.transaction() as session:
        limit = limits.known(session, limit_id)
        asked: ChangedLimit = change(LimitBody, body, "limit", limit_id)
        for name, value in asked.given("resource_limit", "description").items():
            setattr(limit, name, value)
        [changed] = all_shown(kit, session, [limit])
    return Json({"limit": changed})


@router.remove("/v3/limits/{limit_id}", "identity:delete_limit")
def delete_limit(limit_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:delete_limit", caller, {})
    with kit.database.transaction() as session:
        session.delete(limits.known(session, limit_id))


def _made(session: Session, asked: NewLimit) -> Limit:
    owner, owner_id = ("project", asked.project_id) if asked.project_id else ("domain", asked.domain_id)
    if session.get(Project if asked.project_id else Domain, owner_id) is None:
        raise expecting(f"{owner}_id", "limit")
    registered = limits.registered_for(session, asked.service_id, asked.region_id, asked.resource_name)
    if registered is None:
        raise InvalidInput(
            f"Unable to create a limit that has no corresponding registered limit: {asked.resource_name}."
        )
    limit = Limit(
        id=uuid4().hex,
        registered_limit_id=registered,
        owner=owner,
        owner_id=owner_id,
        resource_limit=asked.resource_limit,
        description=asked.description,
    )
    limits.keep(session, limit)
    return limit
