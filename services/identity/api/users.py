"""Users.  Identity API v3, "Users"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import ColumnElement, false, select
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.db.types import utc_now
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api import passwords
from services.identity.api.expiry import expiring
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for, reach
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.users import ChangedUser, NewUser, UserBody, UserChangeBody
from services.identity.api.targets import home_of
from services.identity.core.times import written_bare
from services.identity.db import projects, trusts, users
from services.identity.db.lists import matching
from services.identity.db.tables import Domain, User

router = Router()

# fmt: off
RULES = {
    "identity:get_user":     "rule:reader_above or rule:owner",
    "identity:list_users":   "rule:reader_above",
    "identity:create_user":  "rule:manager_above",
    "identity:update_user":  "rule:manager_above",
    "identity:delete_user":  "rule:manager_above",
}
# fmt: on

FILTERS = {"name": User.name, "domain_id": User.domain_id, "enabled": User.enabled}
FEDERATED = ("idp_id", "protocol_id", "unique_id")
EXPIRY = "password_expires_at"


def shown(kit: Kit, user: User) -> dict[str, Any]:
    body = {
        **user.extra,
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": kit.is_enabled(user),
        "password_expires_at": written_bare(user.password_expires_at),
        "options": user.options,
        "links": {"self": f"{kit.url}/users/{user.id}"},
    }
    return body | ({"default_project_id": user.default_project_id} if user.default_project_id else {})


def all_shown(kit: Kit, session: Session, found: Sequence[User]) -> list[dict[str, Any]]:
    return [shown(kit, user) for user in found]


def wanted(request: Request) -> list[ColumnElement[bool]]:
    """What the query asks of users."""
    found = asked_for(request, FILTERS)
    found += [expiring(one) for one in request.query_params.getlist(EXPIRY)]
    return [*found, false()] if any(name in request.query_params for name in FEDERATED) else found


@router.look("/v3/users", "identity:list_users", filters=(*FILTERS, EXPIRY, *FEDERATED))
def list_users(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """Nobody comes from an identity provider, so who asks for those gets none."""
    domain_id = reach(kit, "identity:list_users", caller, request.query_params.get("domain_id"))
    query = matching(select(User), {User.domain_id: domain_id}).where(*wanted(request))
    return answer(request, kit, "users", query, User.id, asked, partial(all_shown, kit))


@router.look("/v3/users/{user_id}", "identity:get_user")
def show_user(user_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        return Json({"user": shown(kit, allowed(kit, session, "identity:get_user", caller, user_id))})


@router.make("/v3/users", "identity:create_user", takes=UserBody)
def create_user(body: Body, caller: Caller, kit: KitOf) -> Response:
    domain_id = home_of(body, "user", caller)
    kit.policy.must("identity:create_user", caller, {"domain_id": domain_id})
    asked = parsed(UserBody, body).user
    asked.refuse_federation()
    user = _new(domain_id, asked)
    password = passwords.new(kit, asked.password, user.options)
    with kit.database.transaction() as session:
        projects.known_domain(session, user.domain_id)
        _no_domain(session, asked.default_project_id)
        if password.hashed:
            users.set_password(session, user, password, remember=0)
        users.add(session, user)
    return Json({"user": shown(kit, user)}, 201)


@router.change("/v3/users/{user_id}", "identity:update_user", takes=UserChangeBody)
def update_user(user_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Who was disabled, or got another password, has no tokens any more."""
    with kit.database.reading() as session:
        user = allowed(kit, session, "identity:update_user", caller, user_id)
    asked = _change(body, user)
    options = asked.options.laid_over(user.options)
    password = passwords.new(kit, asked.password, options) if "password" in asked.model_fields_set else None
    with kit.database.transaction() as session:
        user = users.known(session, user_id, locked=True)
        was_enabled = kit.is_enabled(user)
        _no_domain(session, asked.default_project_id)
        _take_over(session, user, asked)
        if password:
            users.set_password(session, user, password, remember=passwords.remembered(kit))
        users.keep(session, user)
        ends = password is not None or (was_enabled and not user.enabled)
        event = kit.revoke(session, user_id=user_id) if ends else None
    if event:
        kit.bus.tell(event)
    return Json({"user": shown(kit, user)})


@router.remove("/v3/users/{user_id}", "identity:delete_user")
def delete_user(user_id: str, caller: Caller, kit: KitOf) -> None:
    """With its roles, memberships and credentials; its tokens and trusts end."""
    with kit.database.transaction() as session:
        user = allowed(kit, session, "identity:delete_user", caller, user_id)
        trusts.end_of_user(session, user_id, utc_now())
        users.remove(session, user)
        event = kit.revoke(session, user_id=user_id)
    kit.bus.tell(event)


def allowed(kit: Kit, session: Session, rule: str, caller: Who, user_id: str) -> User:
    """Forbidden before NotFound, so that nobody learns which users there are."""
    member = users.by_id(session, user_id)
    kit.policy.must(rule, caller, {"user_id": user_id, "domain_id": member.domain.id if member else None})
    return users.known(session, user_id)


def _new(domain_id: str, asked: NewUser) -> User:
    now = utc_now()
    return User(
        id=uuid4().hex,
        domain_id=domain_id,
        name=asked.name,
        enabled=asked.enabled,
        default_project_id=asked.default_project_id,
        must_change_password=False,
        created_at=now,
        options=asked.options.laid_over({}),
        extra=asked.additions(),
    )


def _change(body: Any, user: User) -> ChangedUser:
    asked = parsed(UserChangeBody, body).user
    if not asked.model_fields_set:
        raise InvalidInput("Invalid input for field/attribute user. Value: {}. {} should be non-empty")
    if asked.id not in (None, user.id):
        raise InvalidInput("Cannot change user ID")
    if asked.domain_id not in (None, user.domain_id):
        raise InvalidInput("Cannot change Domain ID")
    asked.refuse_federation()
    return asked


def _take_over(session: Session, user: User, asked: ChangedUser) -> None:
    for name in ("name", "enabled", "default_project_id"):
        if name in asked.model_fields_set:
            setattr(user, name, getattr(asked, name))
    if "enabled" in asked.model_fields_set and asked.enabled:
        user.active_at = utc_now()
        users.forget_failures(session, user.id)
    user.options = asked.options.laid_over(user.options)
    user.extra = user.extra | asked.additions()


def _no_domain(session: Session, default_project_id: str | None) -> None:
    """A domain may be shown as a project, but nobody works in it.  InvalidInput"""
    if default_project_id and session.get(Domain, default_project_id):
        raise InvalidInput(f"User's default project ID cannot be a domain ID: {default_project_id}")
