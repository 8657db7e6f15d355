"""Groups.  Identity API v3, "Groups"."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy import select

from common.errors import NotFound
from common.http.identity import Caller
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, listed, reach
from services.identity.api.routing import Router
from services.identity.db.lists import matching, page
from services.identity.db.tables import Group

router = Router()

# fmt: off
RULES = {
    "identity:get_group":    "rule:reader_above",
    "identity:list_groups":  "rule:reader_above",
}
# fmt: on


def shown(kit: Kit, group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
        "links": {"self": f"{kit.url}/groups/{group.id}"},
    }


@router.look("/v3/groups", "identity:list_groups")
def list_groups(
    request: Request, caller: Caller, kit: KitOf, asked: PageOf, name: str | None = None, domain_id: str | None = None
) -> Response:
    domain_id = reach(kit, "identity:list_groups", caller, domain_id)
    query = matching(select(Group), {Group.name: name, Group.domain_id: domain_id})
    with kit.database.reading() as session:
        rows, more = page(session, query, Group.id, asked)
        return listed(request, kit, "groups", [shown(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/groups/{group_id}", "identity:get_group")
def show_group(group_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        group = session.get(Group, group_id)
        kit.policy.must("identity:get_group", caller, {"domain_id": group.domain_id if group else None})
        if group is None:
            raise NotFound(f"Could not find group: {group_id}.")
        return Json({"group": shown(kit, group)})
