"""What acts in a user's name gets: by an application credential, by a trust, or simply as the user that it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from common.auth.access_rules import AccessRule
from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID
from common.db.types import utc_now
from common.errors import Forbidden, Unauthenticated
from services.identity.api.authentication import Proven
from services.identity.api.kit import Kit
from services.identity.api.schemas.auth import ScopePart
from services.identity.api.scoping import Granted, granted, still_granted
from services.identity.core.scopes import Scope
from services.identity.db import application_credentials, projects, roles, trusts, users
from services.identity.db.delegation_tables import ApplicationCredential, Trust
from services.identity.db.tables import Role
from services.identity.db.users import Member

NOT_ALLOWED = "You are not authorized to perform the requested action: {}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """In whose name, for what, and through what."""

    member: Member
    found: Granted
    trust: Trust | None = None
    trust_users: tuple[str, ...] = ()
    credential: ApplicationCredential | None = None
    rules: tuple[AccessRule, ...] = ()

    def ends(self, latest: datetime) -> datetime:
        """`latest`, or when that which gives the power ends."""
        limits = [one.expires_at for one in (self.trust, self.credential) if one is not None]
        return min([latest, *(limit.replace(microsecond=0) for limit in limits if limit is not None)])


def must_have_full_power(caller: Caller, what: str) -> None:
    """Forbidden for a token of a trust or of a restricted application credential: it would get hold of more than it is"""
    if caller.is_delegated:
        raise Forbidden(NOT_ALLOWED.format(what), user_id=caller.user_id)


def grant(kit: Kit, session: Session, member: Member, proven: Proven, scope: ScopePart | str | None) -> Grant:
    """What the user gets.  Unauthenticated; Forbidden to whoever has a trust that is worth nothing now"""
    parent = proven.parent
    if parent is not None and (parent.trust_id or parent.application_credential_id):
        raise Forbidden(NOT_ALLOWED.format("rescope a scoped token"))
    if proven.application_credential_id is not None:
        return _by_credential(session, member, proven.application_credential_id)
    if isinstance(scope, ScopePart) and scope.trust is not None and scope.named() == "trust":
        trust = trusts.alive(session, scope.trust.id, utc_now())
        if trust is None or trust.trustee_user_id != proven.user_id:
            raise Unauthenticated(NOT_VALID, reason="no such trust")
        return _by_trust(kit, session, trust)
    return Grant(member=member, found=granted(session, member.user, scope))


def still(kit: Kit, session: Session, subject: Caller) -> Grant:
    """What an issued token is good for, as things are now.  Unauthenticated, Forbidden"""
    if subject.trust_id is not None:
        if (trust := trusts.existing(session, subject.trust_id)) is None:
            raise Unauthenticated(NOT_VALID, reason="no such trust")
        return _by_trust(kit, session, trust)
    member = acting(kit, users.by_id(session, subject.user_id))
    if subject.application_credential_id is not None:
        return _by_credential(session, member, subject.application_credential_id)
    return Grant(member=member, found=still_granted(session, subject))


def acting(kit: Kit, member: Member | None) -> Member:
    """Unauthenticated unless it may act"""
    if member is None or not kit.may_act(member):
        raise Unauthenticated(NOT_VALID)
    return member


def _by_credential(session: Session, member: Member, credential_id: str) -> Grant:
    row = session.get(ApplicationCredential, credential_id)
    if row is None or row.user_id != member.user.id or (row.expires_at and row.expires_at <= utc_now()):
        raise Unauthenticated(NOT_VALID, reason="no such application credential")
    found = _some_roles(session, member.user.id, row.project_id, row.role_ids)
    if found is None:
        raise Unauthenticated(NOT_VALID, reason="the user lost what the application credential gives")
    rules = application_credentials.rules_of(session, [row.id])[row.id]
    listed = tuple(AccessRule(rule.service, rule.method, rule.path) for rule in rules)
    return Grant(member=member, found=found, credential=row, rules=listed)


def _by_trust(kit: Kit, session: Session, trust: Trust) -> Grant:
    chain = trusts.chain(session, trust)
    if chain is None or trust.project_id is None:
        raise Unauthenticated(NOT_VALID, reason="a trust without its origin")
    trustee = acting(kit, users.by_id(session, trust.trustee_user_id))
    trustors = [_trusting(kit, session, one) for one in chain]
    found = _some_roles(session, chain[-1].trustor_user_id, trust.project_id, trust.role_ids)
    if found is None:
        raise Forbidden(NOT_ALLOWED.format("the trustor has not all roles of the trust any more"))
    return Grant(
        member=trustors[0] if trust.impersonation else trustee,
        found=found,
        trust=trust,
        trust_users=tuple(dict.fromkeys(user for one in chain for user in (one.trustor_user_id, one.trustee_user_id))),
    )


def _trusting(kit: Kit, session: Session, trust: Trust) -> Member:
    member = users.by_id(session, trust.trustor_user_id)
    if member is None or not kit.may_act(member):
        raise Forbidden(NOT_ALLOWED.format("the trustor is disabled"))
    return member


def _some_roles(session: Session, user_id: str, project_id: str, role_ids: Collection[str]) -> Granted | None:
    """These roles of the user's and what they imply; None unless it has all of them."""
    placed = projects.by_id(session, project_id)
    if placed is None or not placed.is_enabled or not role_ids:
        return None
    held = {role.id for role in roles.held(session, user_id, Scope.project(project_id))}
    if not set(role_ids) <= held:
        return None
    return Granted(Scope.project(project_id), roles.implied_by(session, list(role_ids)), placed=placed)


def chosen(available: Sequence[Role], asked: Sequence[tuple[str | None, str | None]]) -> Sequence[Role] | None:
    """Those of `available` that (id, name) name; None when one is not among them."""
    found = [
        role
        for role_id, name in asked
        for role in available
        if (role.id == role_id if role_id is not None else role.name == name)
    ]
    return list(dict.fromkeys(found)) if len(found) >= len(asked) else None
