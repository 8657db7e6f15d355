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
from common.errors import Forbidden, NotFound, Unauthenticated
from common.http import audit
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api import authentication, guesses, receipts
from services.identity.api.authentication import Proven
from services.identity.api.delegation import Grant, acting, grant, still
from services.identity.api.kit import Kit, KitOf
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import AuthBody, AuthPart, expecting
from services.identity.api.token_bodies import Body as Shown
from services.identity.api.token_bodies import token_body
from services.identity.core.factors import unmet
from services.identity.db import trusts, users

router = Router()

# fmt: off
RULES = {
    "identity:validate_token":      "rule:cloud_reader or rule:service or rule:owner",
    "identity:check_token":         "rule:cloud_reader or rule:owner",
    "identity:revoke_token":        "rule:admin or rule:owner",
}
# fmt: on

SUBJECT = "x-subject-token"
LONGEST_CHAIN = 32


@router.make("/v3/auth/tokens", takes=AuthBody)
def issue_token(request: Request, body: Body, kit: KitOf) -> Response:
    """Log in, or change the scope of a token that one has."""
    auth = _asked(body)
    audit.logging_in(request, **authentication.claimed(auth.identity))
    issued_at = utc_now()  # before anything is looked up, so that a revocation meanwhile ends this token
    proven = _proven(kit, request, auth)
    if proven.application_credential_id is not None and auth.scope is not None:
        raise Unauthenticated(NOT_VALID, reason="an application credential has its own scope")
    with kit.database.reading() as session:
        member = acting(kit, users.by_id(session, proven.user_id))
        if rules := unmet(member.user.options, proven.methods, authentication.METHODS):
            if proven.parent is not None:  # a receipt would lose where the token came from
                raise Unauthenticated(NOT_VALID, reason="the token was made with fewer methods")
            return receipts.answer(kit, session, member, proven.methods, rules, issued_at)
        got = grant(kit, session, member, proven, auth.scope)
        token, answer = issued(kit, session, proven, got, issued_at, request)
    _take_a_use(kit, got)
    return Json(answer, 201, headers={SUBJECT: token})


def issued(
    kit: Kit, session: Session, proven: Proven, got: Grant, issued_at: datetime, request: Request | None = None
) -> tuple[str, Shown]:
    """A token for what was granted, and its body."""
    caller = _caller(kit, issued_at, proven, got)
    if request is not None:
        request.state.caller = caller  # the audit log names who logged in
    with_catalog = request is None or _wants_catalog(request)
    return kit.keyring.sign(session, caller), token_body(session, caller, got, with_catalog=with_catalog)


def _take_a_use(kit: Kit, got: Grant) -> None:
    """Unauthenticated when others were faster"""
    if got.trust is None or got.trust.remaining_uses is None:
        return
    with kit.database.transaction() as session:
        if not trusts.use(session, got.trust.id, utc_now()):
            raise Unauthenticated(NOT_VALID, reason="the trust is used up")


def _proven(kit: Kit, request: Request, auth: AuthPart) -> Proven:
    """Who asks, unless too many from the same address failed.  TooMany, Unauthenticated"""
    with guesses.counted(kit, request):
        return authentication.prove(kit, auth.identity, receipts.shown(kit, request))


@router.look("/v3/auth/tokens", "identity:check_token", "identity:validate_token")
def validate_token(request: Request, caller: Caller, kit: KitOf, allow_expired: str | None = None) -> Response:
    """Describe the subject token."""
    grace_s = kit.settings.expired_grace_s if allow_expired not in (None, "", "0", "false", "False") else 0
    token, subject = _subject(request, kit, caller, grace_s=grace_s)
    rule = "identity:check_token" if request.method == "HEAD" else "identity:validate_token"
    kit.policy.must(rule, caller, {"user_id": subject.user_id})
    with kit.database.reading() as session:
        answer = token_body(session, subject, _still_good(kit, session, subject), with_catalog=_wants_catalog(request))
    return Json(answer, headers={SUBJECT: token})


@router.remove("/v3/auth/tokens", "identity:revoke_token")
def revoke_token(request: Request, caller: Caller, kit: KitOf) -> None:
    """End the subject token and all that were made from it."""
    _, subject = _subject(request, kit, caller, grace_s=0)
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


def _caller(kit: Kit, issued_at: datetime, proven: Proven, got: Grant) -> Who:
    """What the token will say.  A token made from a token ends with it."""
    parent, member, found, project = proven.parent, got.member, got.found, got.found.placed
    ends = (issued_at + timedelta(seconds=kit.settings.token_lifetime_s)).replace(microsecond=0)
    ends = got.ends(ends)
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
        trust_id=got.trust.id if got.trust else None,
        trust_users=got.trust_users,
        application_credential_id=got.credential.id if got.credential else None,
        is_restricted=got.credential is not None and not got.credential.unrestricted,
        access_rules=got.rules,
    )


def _new_audit_id() -> str:
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")


def _subject(request: Request, kit: Kit, caller: Who, *, grace_s: float) -> tuple[str, Who]:
    """The token that is asked about.  NotFound when it is none, or no longer"""
    given = request.headers.getlist(SUBJECT)
    if len(given) != 1:
        raise NotFound("No token in the request")
    if given[0] == caller.token:  # checked a moment ago
        return given[0], caller
    try:
        return given[0], kit.verifier.verify(given[0], grace_s=grace_s)
    except Unauthenticated as error:
        raise NotFound("Could not find token.") from error


def _still_good(kit: Kit, session: Session, subject: Who) -> Grant:
    try:
        return still(kit, session, subject)
    except (Unauthenticated, Forbidden) as error:
        raise NotFound("Could not find token.") from error
