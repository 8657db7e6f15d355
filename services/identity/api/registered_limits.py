"""What every project may have of a resource.  Identity API v3, "Unified limits"."""

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
from services.identity.api.schemas.auth import expecting
from services.identity.api.schemas.limits import (
    ChangedRegisteredLimit,
    NewRegisteredLimit,
    RegisteredLimitBody,
    RegisteredLimitsBody,
)
from services.identity.db import limits
from services.identity.db.cloud_tables import RegisteredLimit
from services.identity.db.tables import Region, Service

router = Router()

# fmt: off
RULES = {
    "identity:get_registered_limit":      "rule:everybody",
    "identity:list_registered_limits":    "rule:everybody",
    "identity:create_registered_limits":  "rule:admin",
    "identity:update_registered_limit":   "rule:admin",
    "identity:delete_registered_limit":   "rule:admin",
}
# fmt: on

FILTERS = {
    "service_id": RegisteredLimit.service_id,
    "region_id": RegisteredLimit.region_id,
    "resource_name": RegisteredLimit.resource_name,
}


def shown(kit: Kit, limit: RegisteredLimit) -> dict[str, Any]:
    return {
        "id": limit.id,
        "service_id": limit.service_id,
        "region_id": limit.region_id or None,
        "resource_name": limit.resource_name,
        "default_limit": limit.default_limit,
        "description": limit.description,
        "links": {"self": f"{kit.url}/registered_limits/{limit.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[RegisteredLimit]) -> list[dict[str, Any]]:
    return [shown(kit, limit) for limit in found]


@router.look("/v3/registered_limits", "identity:list_registered_limits", filters=FILTERS)
def list_registered_limits(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_registered_limits", caller)
    query = select(RegisteredLimit).where(*asked_for(request, FILTERS))
    return answer(request, kit, "registered_limits", query, RegisteredLimit.id, asked, partial(all_shown, kit))


@router.look("/v3/registered_limits/{registered_limit_id}", "identity:get_registered_limit")
def show_registered_limit(registered_limit_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_registered_limit", caller)
    with kit.database.reading() as session:
        return Json({"registered_limit": shown(kit, limits.known_registered(session, registered_limit_id))})


@router.make("/v3/registered_limits", "identity:create_registered_limits", takes=RegisteredLimitsBody)
def create_registered_limits(body: Body, caller: Caller, kit: KitOf) -> Response:
    """All of them, or none."""
    kit.policy.must("identity:create_registered_limits", caller, {})
    asked = parsed(RegisteredLimitsBody, body).registered_limits
    with kit.database.transaction() as session:
        made = [_made(session, one) for one in asked]
    return Json({"registered_limits": [shown(kit, limit) for limit in made]}, 201)


@router.change(
    "/v3/registered_limits/{registered_limit_id}", "identity:update_registered_limit", takes=RegisteredLimitBody
)
def update_registered_limit(registered_limit_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_registered_limit", caller, {})
    with kit.database.transaction() as session:
        limit = limits.known_registered(session, registered_limit_id)
        asked: ChangedRegisteredLimit = change(RegisteredLimitBody, body, "registered_limit", registered_limit_id)
        given = asked.given("service_id", "region_id", "resource_name", "default_limit", "description")
        if given.keys() & {"service_id", "region_id", "resource_name"}:
            limits.refuse_if_used(session, limit, "update")
            _check_place(session, given.get("service_id"), given.get("region_id"))
        for name, value in given.items():
            setattr(limit, name, value or "" if name == "region_id" else value)
        limits.keep_registered(session, limit)
    return Json({"registered_limit": shown(kit, limit)})


@router.remove("/v3/registered_limits/{registered_limit_id}", "identity:delete_registered_limit")
def delete_registered_limit(registered_limit_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:delete_registered_limit", caller, {})
    with kit.database.transaction() as session:
        limit = limits.known_registered(session, registered_limit_id)
        limits.refuse_if_used(session, limit, "delete")
        session.delete(limit)


def _made(session: Session, asked: NewRegisteredLimit) -> RegisteredLimit:
    _check_place(session, asked.service_id, asked.region_id)
    limit = RegisteredLimit(
        id=uuid4().hex,
        service_id=asked.service_id,
        region_id=asked.region_id or "",
        resource_name=asked.resource_name,
        default_limit=asked.default_limit,
        description=asked.description,
    )
    limits.keep_registered(session, limit)
    return limit


def _check_place(session: Session, service_id: str | None, region_id: str | None) -> None:
    if service_id is not None and session.get(Service, service_id) is None:
        raise expecting("service_id", "registered_limit")
    if region_id is not None and session.get(Region, region_id) is None:
        raise expecting("region_id", "registered_limit")
