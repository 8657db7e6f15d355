"""Application credentials: a part of a user's power, for a program.  Identity API v3, "Application Credentials"."""

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
from common.errors import Forbidden, InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api import access_rules
from services.identity.api.delegation import chosen, must_have_full_power
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import expecting
from services.identity.api.schemas.delegation import (
    MOST_RULES_BYTES,
    ApplicationCredentialBody,
    NewApplicationCredential,
    RuleRef,
)
from services.identity.core.scopes import Scope
from services.identity.core.times import written_bare
from services.identity.db import application_credentials, roles, users
from services.identity.db.delegation_tables import AccessRule, ApplicationCredential
from services.identity.db.tables import Role

router = Router()
OWN = "/v3/users/{user_id}/application_credentials"

# fmt: off
RULES = {
    "identity:get_application_credential":     "rule:cloud_reader or rule:owner",
    "identity:list_application_credentials":   "rule:cloud_reader or rule:owner",
    "identity:create_application_credential":  "rule:owner",
    "identity:delete_application_credential":  "rule:admin or rule:owner",
}
# fmt: on

FILTERS = {"name": ApplicationCredential.name}


def all_shown(kit: Kit, session: Session, found: Sequence[ApplicationCredential]) -> list[dict[str, Any]]:
    named = {role_id for one in found for role_id in one.role_ids}
    known = {role.id: role for role in session.scalars(select(Role).where(Role.id.in_(named)))}
    rules = application_credentials.rules_of(session, [one.id for one in found])
    return [shown(kit, one, [known[role] for role in one.role_ids if role in known], rules[one.id]) for one in found]


def shown(
    kit: Kit, credential: ApplicationCredential, given: Sequence[Role], rules: Sequence[AccessRule]
) -> dict[str, Any]:
    body = {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "system": None,
        "expires_at": written_bare(credential.expires_at),
        "unrestricted": credential.unrestricted,
        "roles": [_shown_role(role) for role in given],
        "links": {"self": f"{kit.url}/users/{credential.user_id}/application_credentials/{credential.id}"},
    }
    return body | ({"access_rules": [access_rules.brief(rule) for rule in rules]} if rules else {})


def _shown_role(role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id,
        "description": role.description,
        "options": role.options,
    }


@router.look(OWN, "identity:list_application_credentials", filters=FILTERS)
def list_application_credentials(request: Request, user_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_application_credentials", caller, {"user_id": user_id})
    query = select(ApplicationCredential).where(ApplicationCredential.user_id == user_id, *asked_for(request, FILTERS))
    key = ApplicationCredential.id
    return answer(request, kit, "application_credentials", query, key, asked, partial(all_shown, kit))


@router.look(OWN + "/{credential_id}", "identity:get_application_credential")
def show_application_credential(user_id: str, credential_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_application_credential", caller, {"user_id": user_id})
    with kit.database.reading() as session:
        [body] = all_shown(kit, session, [application_credentials.known(session, user_id, credential_id)])
    return Json({"application_credential": body})


@router.make(OWN, "identity:create_application_credential", takes=ApplicationCredentialBody)
def create_application_credential(user_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """For the project of the token, with at most the token's roles.  The secret is shown here and never again."""
    kit.policy.must("identity:create_application_credential", caller, {"user_id": user_id})
    _must_manage(caller)
    asked = parsed(ApplicationCredentialBody, body).application_credential
    if caller.project_id is None:
        raise expecting("a project scope", "the token")
    _must_make_sense(asked)
    secret = asked.secret or kit.secrets.make()
    hashed = kit.secrets.hash(secret)
    with kit.database.transaction() as session:
        users.known(session, user_id)
        credential = ApplicationCredential(
            id=uuid4().hex,
            name=asked.name,
            secret_hash=hashed,
            description=asked.description,
            user_id=user_id,
            project_id=caller.project_id,
            expires_at=asked.expires_at,
            unrestricted=bool(asked.unrestricted),
            role_ids=[role.id for role in _roles(session, caller, asked)],
            created_at=utc_now(),
        )
        rules = [_rule(session, user_id, one) for one in asked.access_rules or ()]
        application_credentials.add(session, credential, {rule.id: rule for rule in rules}.values())
        [shown_one] = all_shown(kit, session, [credential])
    return Json({"application_credential": shown_one | {"secret": secret}}, 201)


@router.remove(OWN + "/{credential_id}", "identity:delete_application_credential")
def delete_application_credential(user_id: str, credential_id: str, caller: Caller, kit: KitOf) -> None:
    """Its tokens end."""
    kit.policy.must("identity:delete_application_credential", caller, {"user_id": user_id})
    _must_manage(caller)
    with kit.database.transaction() as session:
        application_credentials.remove(session, application_credentials.known(session, user_id, credential_id))
        event = kit.revoke(session, credential_id=credential_id)
    kit.bus.tell(event)


def _must_manage(caller: Who) -> None:
    if caller.is_restricted:
        raise Forbidden(
            "Using method 'application_credential' is not allowed for managing additional application credentials."
        )
    must_have_full_power(caller, "managing application credentials")


def _must_make_sense(asked: NewApplicationCredential) -> None:
    if asked.expires_at is not None and asked.expires_at <= utc_now():
        raise InvalidInput("Invalid application credential: The expiration time is in the past.")
    written = sum(len(f"{one.service}{one.method}{one.path}") for one in asked.access_rules or ())
    if written > MOST_RULES_BYTES:
        raise InvalidInput(
            f"Invalid application credential: its access rules are longer than {MOST_RULES_BYTES} bytes."
        )


def _roles(session: Session, caller: Who, asked: NewApplicationCredential) -> Sequence[Role]:
    """Those asked for, or all that the token has.  InvalidInput when it has not all of them

    A token of another application credential hands on no role that it lacks.
    """
    held = roles.held(session, caller.user_id, Scope.project(caller.project_id or ""))
    if caller.application_credential_id is not None or not asked.roles:
        held = [role for role in held if role.id in caller.role_ids]
    found = chosen(held, [(one.id, one.name) for one in asked.roles]) if asked.roles else held
    if not found:
        raise InvalidInput("Invalid application credential: Could not find role assignment with the roles requested.")
    return found


def _rule(session: Session, user_id: str, asked: RuleRef) -> AccessRule:
    if asked.id is not None:
        return application_credentials.known_rule(session, user_id, asked.id)
    service, method, path = asked.service or "", asked.method or "", asked.path or ""
    return application_credentials.rule_like(session, user_id, service=service, method=method, path=path)
