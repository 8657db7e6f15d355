"""Users.  Identity API v3, "Users"."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select

from common.db.types import utc_now
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, flag, listed, reach
from services.identity.api.projects import own_domain
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.users import UserBody
from services.identity.db import projects, users
from services.identity.db.lists import matching, page
from services.identity.db.tables import User

router = Router()

# fmt: off
RULES = {
    "identity:get_user":     "rule:reader_above or rule:owner",
    "identity:list_users":   "rule:reader_above",
    "identity:create_user":  "rule:admin",
    "identity:delete_user":  "rule:admin",
}
# fmt: on


def shown(kit: Kit, user: User) -> dict[str, Any]:
    body = {
        **user.extra,
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{kit.url}/users/{user.id}"},
    }
    return body | ({"default_project_id": user.default_project_id} if user.default_project_id else {})


@router.look("/v3/users", "identity:list_users")
def list_users(
    request: Request,
    caller: Caller,
    kit: KitOf,
    asked: PageOf,
    name: str | None = None,
    domain_id: str | None = None,
    enabled: str | None = None,
) -> Response:
    domain_id = reach(kit, "identity:list_users", caller, domain_id)
    query = matching(select(User), {User.name: name, User.domain_id: domain_id, User.enabled: flag(enabled)})
    with kit.database.reading() as session:
        rows, more = page(session, query, User.id, asked)
        return listed(request, kit, "users", [shown(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/users/{user_id}", "identity:get_user")
def show_user(user_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        member = users.by_id(session, user_id)
        target = {"user_id": user_id, "domain_id": member.domain.id if member else None}
        kit.policy.must("identity:get_user", caller, target)
        return Json({"user": shown(kit, users.known(session, user_id))})


@router.make("/v3/users", "identity:create_user", takes=UserBody)
def create_user(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_user", caller, {})
    asked = parsed(UserBody, body).user
    user = User(
        id=uuid4().hex,
        domain_id=asked.domain_id or own_domain(caller),
        name=asked.name,
        enabled=asked.enabled,
        default_project_id=asked.default_project_id,
        password_hash=_hashed(kit, asked.password),
        password_set_at=utc_now() if asked.password is not None else None,
        must_change_password=False,
        created_at=utc_now(),
        options={},
        extra=asked.additions(),
    )
    with kit.database.transaction() as session:
        projects.known_domain(session, user.domain_id)
        users.add(session, user)
    return Json({"user": shown(kit, user)}, 201)


@router.remove("/v3/users/{user_id}", "identity:delete_user")
def delete_user(user_id: str, caller: Caller, kit: KitOf) -> None:
    """With its roles; its tokens end."""
    kit.policy.must("identity:delete_user", caller, {})
    with kit.database.transaction() as session:
        users.remove(session, users.known(session, user_id))
        event = kit.revoke(session, user_id=user_id)
    kit.bus.tell(event)


def _hashed(kit: Kit, password: str | None) -> str | None:
    if password is None:
        return None
    if not kit.passwords.may_be_one(password):
        raise InvalidInput("Invalid input for field/attribute password. The password is empty or too long")
    with kit.passwords.turn():
        return kit.passwords.hash(password)
