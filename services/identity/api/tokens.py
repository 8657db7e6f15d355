"""Issue, validate and revoke tokens.  Identity API v3, "Authentication and token management"."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.auth.tokens import NOT_VALID
from common.db.types import utc_now
from common.errors import NotFound, Unauthenticated
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api import authentication
from services.identity.api.authentication import Proven
from services.identity.api.kit import Kit, KitOf
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import AuthBody, AuthPart, expecting
from services.identity.api.scoping import Granted, granted, still_granted
from services.identity.api.token_bodies import token_body
from services.identity.db import users
from services.identity.db.users import Member

router = Router()

# fmt: off
RULES = {
    "identity:validate_token":      "rule:cloud_reader or rule:service or rule:owner",
    "identity:check_token":         "rule:cloud_reader or rule:service or rule:owner",
    "identity:revoke_token":        "rule:admin or rule:owner",
}
# fmt: on

SUBJECT = "x-subject-token"
LONGEST_CHAIN = 32


@router.make("/v3/auth/tokens", takes=AuthBody)
def issue_token(request: Request, body: Body, kit: KitOf) -> Response:
    """Log in, or change the scope of a token that one has."""
    auth = _asked(body)
    issued_at = utc_now()  # before anything is looked up, so that a revocation meanwhile ends this token
    proven = authentication.prove(kit, auth.identity)
    with kit.database.reading() as session:
        member = _enabled(kit, users.by_id(session, proven.user_id))
        found = granted(session, member.user, auth.scope)
        caller = _caller(kit, issued_at, proven, member, found)
        token = kit.keyring.sign(session, caller)
        answer = token_body(session, caller, member, found, with_catalog=_wants_catalog(request))
    return Json(answer, 201, headers={SUBJECT: token})


@router.look("/v3/auth/tokens", "identity:check_token", "identity:validate_token")
def validate_token(request: Request, caller: Caller, kit: KitOf, allow_expired: str | None = None) -> Response:
    """Describe the subject token."""
    grace_s = kit.settings.expired_grace_s if allow_expired not in (None, "", "0", "false", "False") else 0
    token, subject = _subject(request, kit, grace_s=grace_s)
    rule = "identity:check_token" if request.method == "HEAD" else "identity:validate_token"
    kit.policy.must(rule, caller, {"user_id": subject.user_id})
    with kit.database.reading() as session:
        member, found = _still_good(kit, session, subject)
        answer = token_body(session, subject, member, found, with_catalog=_wants_catalog(request))
    return Json(answer, headers={SUBJECT: token})


@router.remove("/v3/auth/tokens", "identity:revoke_token")
def revoke_token(request: Request, caller: Caller, kit: KitOf) -> None:
    """End the subject token and all that were made from it."""
    _, subject = _subject(request, kit, grace_s=0)
    kit.policy.must("identity:revoke_token", caller, {"user_id": subject.user_id})
    with kit.database.transaction() as session:
        event = kit.revoke(session, audit_chain_id=subject.audit_ids[0])
    kit.bus.tell(event)


def _asked(body: object) -> AuthPart:
    if not isinstance(body, dict) or body.get("auth") is None:
        raise expecting("auth", "request body")
    return parsed(AuthBody, body).auth


def _wants_catalog(request: Request) -> bool:
    return "nocatalog" not in request.query_params


def _enabled(kit: Kit, member: Member | None) -> Member:
    if member is None or not kit.may_act(member):
        raise Unauthenticated(NOT_VALID)
    return member


def _caller(kit: Kit, issued_at: datetime, proven: Proven, member: Member, found: Granted) -> Who:
    """What the token will say.  A token made from a token ends with it."""
    parent, project = proven.parent, found.placed
    ends = (issued_at + timedelta(seconds=kit.settings.token_lifetime_s)).replace(microsecond=0)
    chain = parent.audit_ids if parent else ()
    if len(chain) >= LONGEST_CHAIN:
        raise Unauthenticated(NOT_VALID, reason="too many tokens made one from the other")
    return Who(
        user_id=member.user.id,
        user_domain_id=member.domain.id,
        issued_at=issued_at,
        expires_at=min(ends, parent.expires_at) if parent else ends,
        audit_ids=(_new_audit_id(), *chain),
        methods=proven.methods,
        project_id=project.project.id if project else None,
        project_domain_id=project.domain.id if project else None,
        domain_id=found.domain.id if found.domain else None,
        is_system=found.scope.kind == "system",
        roles=frozenset(role.name for role in found.roles),
        role_ids=frozenset(role.id for role in found.roles),
    )


def _new_audit_id() -> str:
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")


def _subject(request: Request, kit: Kit, *, grace_s: float) -> tuple[str, Who]:
    """The token that is asked about.  NotFound when it is none, or no longer"""
    given = request.headers.getlist(SUBJECT)
    if len(given) != 1:
        raise NotFound("No token in the request")
    try:
        return given[0], kit.verifier.verify(given[0], grace_s=grace_s)
    except Unauthenticated as error:
        raise NotFound("Could not find token.") from error


def _still_good(kit: Kit, session: Session, subject: Who) -> tuple[Member, Granted]:
    try:
        return _enabled(kit, users.by_id(session, subject.user_id)), still_granted(session, subject)
    except Unauthenticated as error:
        raise NotFound("Could not find token.") from error
