"""Who is in which group.  Identity API v3, "Groups"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import NotFound
from common.http.identity import Caller
from services.identity.api import groups as group_api
from services.identity.api import users as user_api
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.lost_roles import after_leaving
from services.identity.api.routing import Router
from services.identity.db import groups, users
from services.identity.db.lists import matching
from services.identity.db.tables import Group, User

router = Router()

# fmt: off
RULES = {
    "own_group_and_user":               "domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s",
    "identity:list_groups_for_user":    "rule:reader_above or rule:owner",
    "identity:list_users_in_group":     "rule:reader_above",
    "identity:check_user_in_group":     "rule:cloud_reader or (role:reader and rule:own_group_and_user)",
    "identity:add_user_to_group":       "rule:admin or (role:manager and rule:own_group_and_user)",
    "identity:remove_user_from_group":  "rule:admin or (role:manager and rule:own_group_and_user)",
}
# fmt: on

ONE = "/v3/groups/{group_id}/users/{user_id}"


def _shown(kit: Kit, session: Session, found: Sequence[Group]) -> list[dict[str, Any]]:
    """Memberships here never end by themselves."""
    return [one | {"membership_expires_at": None} for one in group_api.all_shown(kit, session, found)]


@router.look("/v3/users/{user_id}/groups", "identity:list_groups_for_user", filters=("name",))
def list_groups_of_user(request: Request, user_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """A domain's reader sees none of another domain."""
    with kit.database.reading() as session:
        user_api.allowed(kit, session, "identity:list_groups_for_user", caller, user_id)
    query = matching(groups.of_user(user_id), {Group.domain_id: _horizon(kit, caller)})
    query = query.where(*asked_for(request, {"name": Group.name}))
    return answer(request, kit, "groups", query, Group.id, asked, partial(_shown, kit))


@router.look(
    "/v3/groups/{group_id}/users", "identity:list_users_in_group", filters=(*user_api.FILTERS, user_api.EXPIRY)
)
def list_members(request: Request, group_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """The same for users."""
    with kit.database.reading() as session:
        group_api.allowed(kit, session, "identity:list_users_in_group", caller, group_id)
    query = matching(groups.members(group_id), {User.domain_id: _horizon(kit, caller)}).where(*user_api.wanted(request))
    return answer(request, kit, "users", query, User.id, asked, partial(user_api.all_shown, kit))


@router.look(ONE, "identity:check_user_in_group", status=204)
def check_member(group_id: str, user_id: str, caller: Caller, kit: KitOf) -> None:
    with kit.database.reading() as session:
        _allowed(kit, session, "identity:check_user_in_group", caller, group_id, user_id)
        if not groups.is_member(session, group_id, user_id):
            raise _missing(group_id, user_id)


@router.assign(ONE, "identity:add_user_to_group")
def add_member(group_id: str, user_id: str, caller: Caller, kit: KitOf) -> None:
    """Twice is once."""
    with kit.database.transaction() as session:
        _allowed(kit, session, "identity:add_user_to_group", caller, group_id, user_id)
        groups.enter(session, group_id, user_id)


@router.remove(ONE, "identity:remove_user_from_group")
def remove_member(group_id: str, user_id: str, caller: Caller, kit: KitOf) -> None:
    """The user's tokens end, where they carry a role because of the group."""
    with kit.database.transaction() as session:
        _allowed(kit, session, "identity:remove_user_from_group", caller, group_id, user_id)
        if not groups.leave(session, group_id, user_id):
            raise _missing(group_id, user_id)
        events = after_leaving(kit, session, group_id, [user_id])
    for event in events:
        kit.bus.tell(event)


def _allowed(kit: Kit, session: Session, rule: str, caller: Who, group_id: str, user_id: str) -> None:
    """Forbidden before NotFound, for the group and then for the user."""
    group, user = session.get(Group, group_id), session.get(User, user_id)
    target = {
        "target.group.domain_id": group.domain_id if group else None,
        "target.user.domain_id": user.domain_id if user else None,
    }
    kit.policy.must(rule, caller, target)
    groups.known(session, group_id)
    users.known(session, user_id)


def _horizon(kit: Kit, caller: Who) -> str | None:
    """The domain that the caller sees no further than.  None: it sees all"""
    return None if kit.policy.allows("cloud_reader", caller) else caller.domain_id


def _missing(group_id: str, user_id: str) -> NotFound:
    return NotFound(f"User '{user_id}' not found in group '{group_id}'")
