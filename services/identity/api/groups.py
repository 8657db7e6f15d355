"""Groups.  Identity API v3, "Groups"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for, reach
from services.identity.api.lost_roles import after_dissolving
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.groups import ChangedGroup, GroupBody, GroupChangeBody
from services.identity.api.targets import home_of
from services.identity.db import groups, projects
from services.identity.db.lists import matching
from services.identity.db.tables import Group

router = Router()

# fmt: off
RULES = {
    "identity:get_group":     "rule:reader_above",
    "identity:list_groups":   "rule:reader_above",
    "identity:create_group":  "rule:manager_above",
    "identity:update_group":  "rule:manager_above",
    "identity:delete_group":  "rule:manager_above",
}
# fmt: on

FILTERS = {"name": Group.name, "domain_id": Group.domain_id}


def shown(kit: Kit, group: Group) -> dict[str, Any]:
    return {
        **group.extra,
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
        "links": {"self": f"{kit.url}/groups/{group.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[Group]) -> list[dict[str, Any]]:
    return [shown(kit, group) for group in found]


@router.look("/v3/groups", "identity:list_groups", filters=FILTERS)
def list_groups(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    domain_id = reach(kit, "identity:list_groups", caller, request.query_params.get("domain_id"))
    query = matching(select(Group), {Group.domain_id: domain_id}).where(*asked_for(request, FILTERS))
    return answer(request, kit, "groups", query, Group.id, asked, partial(all_shown, kit))


@router.look("/v3/groups/{group_id}", "identity:get_group")
def show_group(group_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        return Json({"group": shown(kit, allowed(kit, session, "identity:get_group", caller, group_id))})


@router.make("/v3/groups", "identity:create_group", takes=GroupBody)
def create_group(body: Body, caller: Caller, kit: KitOf) -> Response:
    domain_id = home_of(body, "group", caller)
    kit.policy.must("identity:create_group", caller, {"domain_id": domain_id})
    asked = parsed(GroupBody, body).group
    group = Group(
        id=uuid4().hex,
        domain_id=domain_id,
        name=asked.name,
        description=asked.description or "",
        extra=asked.additions(),
    )
    with kit.database.transaction() as session:
        projects.known_domain(session, domain_id)
        groups.keep(session, group)
    return Json({"group": shown(kit, group)}, 201)


@router.change("/v3/groups/{group_id}", "identity:update_group", takes=GroupChangeBody)
def update_group(group_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    with kit.database.transaction() as session:
        group = allowed(kit, session, "identity:update_group", caller, group_id)
        asked = _change(body, group)
        if "name" in asked.model_fields_set:
            group.name = asked.name
        if "description" in asked.model_fields_set:
            group.description = asked.description or ""
        group.extra = group.extra | asked.additions()
        groups.keep(session, group)
    return Json({"group": shown(kit, group)})


@router.remove("/v3/groups/{group_id}", "identity:delete_group")
def delete_group(group_id: str, caller: Caller, kit: KitOf) -> None:
    """Its members' tokens end, where they carry a role because of it."""
    with kit.database.transaction() as session:
        group = allowed(kit, session, "identity:delete_group", caller, group_id)
        events = after_dissolving(kit, session, group_id)
        groups.remove(session, group)
    for event in events:
        kit.bus.tell(event)


def allowed(kit: Kit, session: Session, rule: str, caller: Who, group_id: str) -> Group:
    """Forbidden before NotFound, so that nobody learns which groups there are."""
    group = session.get(Group, group_id)
    kit.policy.must(rule, caller, {"domain_id": group.domain_id if group else None})
    return groups.known(session, group_id)


def _change(body: Any, group: Group) -> ChangedGroup:
    asked = parsed(GroupChangeBody, body).group
    if not asked.model_fields_set:
        raise InvalidInput("Invalid input for field/attribute group. Value: {}. {} should be non-empty")
    if asked.id not in (None, group.id):
        raise InvalidInput("Cannot change ID")
    if asked.domain_id not in (None, group.domain_id):
        raise InvalidInput("Cannot change Domain ID")
    return asked
