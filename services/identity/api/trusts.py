"""Trusts: one user lets another act with some of its roles on a project.  Identity API v3, "OS-TRUST (extension)"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.db.types import utc_now
from common.errors import Forbidden, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api import roles as role_api
from services.identity.api.delegation import NOT_ALLOWED, chosen, must_have_full_power
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for, listed
from services.identity.api.redelegation import Origin, origin_of
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.delegation import NewTrust, TrustBody
from services.identity.api.targets import object_in
from services.identity.core.scopes import Scope
from services.identity.core.times import written
from services.identity.db import projects, roles, trusts, users
from services.identity.db.delegation_tables import Trust
from services.identity.db.tables import Role
from services.identity.db.trusts import is_alive

router = Router()
ALL, ONE = "/v3/OS-TRUST/trusts", "/v3/OS-TRUST/trusts/{trust_id}"

# fmt: off
RULES = {
    "identity:create_trust":             "user_id:%(trustor_user_id)s",
    "identity:list_trusts":              "rule:cloud_reader",
    "identity:list_trusts_for_trustor":  "rule:cloud_reader or user_id:%(trustor_user_id)s",
    "identity:list_trusts_for_trustee":  "rule:cloud_reader or user_id:%(trustee_user_id)s",
    "identity:get_trust":                "rule:cloud_reader or user_id:%(trustor_user_id)s or user_id:%(trustee_user_id)s",
    "identity:list_roles_for_trust":     "rule:cloud_reader or user_id:%(trustor_user_id)s or user_id:%(trustee_user_id)s",
    "identity:get_role_for_trust":       "rule:cloud_reader or user_id:%(trustor_user_id)s or user_id:%(trustee_user_id)s",
    "identity:delete_trust":             "rule:admin or user_id:%(trustor_user_id)s",
}
# fmt: on

LISTS = ("identity:list_trusts", "identity:list_trusts_for_trustor", "identity:list_trusts_for_trustee")
FILTERS = {"trustor_user_id": Trust.trustor_user_id, "trustee_user_id": Trust.trustee_user_id}


def brief(kit: Kit, trust: Trust) -> dict[str, Any]:
    return {
        **trust.extra,
        "id": trust.id,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id,
        "impersonation": trust.impersonation,
        "expires_at": written(trust.expires_at) if trust.expires_at else None,
        "deleted_at": None,
        "remaining_uses": trust.remaining_uses,
        "redelegation_count": trust.redelegation_count,
        "redelegated_trust_id": trust.redelegated_trust_id,
        "links": {"self": f"{kit.url}/OS-TRUST/trusts/{trust.id}"},
    }


def shown(kit: Kit, session: Session, trust: Trust) -> dict[str, Any]:
    roles_url = f"{kit.url}/OS-TRUST/trusts/{trust.id}/roles"
    return brief(kit, trust) | {
        "roles": [role_api.shown(kit, role) for role in _roles_of(session, trust)],
        "roles_links": {"next": None, "self": roles_url, "previous": None},
    }


def _all_brief(kit: Kit, session: Session, found: Sequence[Trust]) -> list[dict[str, Any]]:
    return [brief(kit, one) for one in found]


@router.look(ALL + "/", *LISTS, filters=FILTERS)  # as some clients write it
@router.look(ALL, *LISTS, filters=FILTERS)
def list_trusts(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    filters = {name: request.query_params[name] for name in FILTERS if name in request.query_params}
    if not filters:
        kit.policy.must("identity:list_trusts", caller)
    for name in filters:
        kit.policy.must(f"identity:list_trusts_for_{name.removesuffix('_user_id')}", caller, filters)
    query = select(Trust).where(is_alive(utc_now()), *asked_for(request, FILTERS))
    return answer(request, kit, "trusts", query, Trust.id, asked, partial(_all_brief, kit))


@router.look(ONE, "identity:get_trust")
def show_trust(trust_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        return Json({"trust": shown(kit, session, _guarded(kit, session, caller, trust_id, "identity:get_trust"))})


@router.make(ALL, "identity:create_trust", takes=TrustBody)
def create_trust(body: Body, caller: Caller, kit: KitOf) -> Response:
    if caller.trust_id is None:
        must_have_full_power(caller, "identity:create_trust")
    trustor_id = object_in(body, "trust").get("trustor_user_id")
    kit.policy.must("identity:create_trust", caller, {"trustor_user_id": trustor_id})
    asked = parsed(TrustBody, body).trust
    _must_make_sense(asked)
    with kit.database.transaction() as session:
        users.known(session, asked.trustee_user_id)
        origin = origin_of(kit, session, caller, asked)
        trust = _new(asked, origin, _given_roles(session, caller, asked, origin))
        session.add(trust)
        session.flush()
        return Json({"trust": shown(kit, session, trust)}, 201)


@router.remove(ONE, "identity:delete_trust")
def delete_trust(trust_id: str, caller: Caller, kit: KitOf) -> None:
    """With all that were redelegated from it; their tokens end."""
    must_have_full_power(caller, "identity:delete_trust")
    with kit.database.transaction() as session:
        trust = _guarded(kit, session, caller, trust_id, "identity:delete_trust")
        events = [kit.revoke(session, trust_id=one) for one in trusts.end(session, trust, utc_now())]
    for event in events:
        kit.bus.tell(event)


@router.look(ONE + "/roles", "identity:list_roles_for_trust")
def list_roles(request: Request, trust_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        trust = _guarded(kit, session, caller, trust_id, "identity:list_roles_for_trust")
        found = [role_api.shown(kit, role) for role in _roles_of(session, trust)]
    return listed(request, kit, "roles", found)


@router.look(ONE + "/roles/{role_id}", "identity:get_role_for_trust")
def show_role(trust_id: str, role_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        trust = _guarded(kit, session, caller, trust_id, "identity:get_role_for_trust")
        if role_id not in trust.role_ids:
            raise NotFound(f"Could not find role: {role_id}.")
        return Json({"role": role_api.shown(kit, roles.known(session, role_id))})


def _guarded(kit: Kit, session: Session, caller: Who, trust_id: str, rule: str) -> Trust:
    """Forbidden to who may look at it.  For everybody else it is not there: NotFound, where Keystone tells that it is"""
    trust = trusts.known(session, trust_id, utc_now())
    target = {name: getattr(trust, name) for name in ("trustor_user_id", "trustee_user_id")}
    if not any(kit.policy.allows(one, caller, target) for one in (rule, "identity:get_trust")):
        raise trusts.unknown(trust_id)
    kit.policy.must(rule, caller, target)
    return trust


def _roles_of(session: Session, trust: Trust) -> Sequence[Role]:
    return session.scalars(select(Role).where(Role.id.in_(trust.role_ids)).order_by(Role.name)).all()


def _must_make_sense(asked: NewTrust) -> None:
    if asked.expires_at is not None and asked.expires_at <= utc_now():
        raise InvalidInput("The expiration time of a trust must not be in the past.")
    if not asked.roles:
        raise Forbidden(NOT_ALLOWED.format("At least one role should be specified"))
    if asked.project_id is None:
        raise Forbidden(NOT_ALLOWED.format("A trust with roles needs a project"))


def _given_roles(session: Session, caller: Who, asked: NewTrust, origin: Origin) -> Sequence[Role]:
    """Only what the trustor has, and what the token that asks has.  Forbidden, NotFound"""
    project_id = asked.project_id or ""
    projects.known(session, project_id)
    held = roles.held(session, origin.trustor_id or asked.trustor_user_id, Scope.project(project_id))
    if origin.role_ids is not None:
        held = [role for role in held if role.id in origin.role_ids]
    if caller.application_credential_id is not None:
        held = [role for role in held if role.id in caller.role_ids and caller.project_id == project_id]
    found = chosen(held, [(one.id, one.name) for one in asked.roles])
    if found is None:
        raise Forbidden(NOT_ALLOWED.format("a trust gives only roles that the trustor has on the project"))
    return found


def _new(asked: NewTrust, origin: Origin, given: Sequence[Role]) -> Trust:
    return Trust(
        id=uuid4().hex,
        trustor_user_id=asked.trustor_user_id,
        trustee_user_id=asked.trustee_user_id,
        project_id=asked.project_id,
        impersonation=asked.impersonation,
        role_ids=[role.id for role in given],
        expires_at=origin.ends(asked.expires_at),
        remaining_uses=asked.remaining_uses,
        redelegation_count=origin.redelegation_count,
        redelegated_trust_id=origin.trust_id,
        created_at=utc_now(),
        extra=asked.additions(),
    )
