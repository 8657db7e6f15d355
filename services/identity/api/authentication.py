"""Who somebody is: the methods of a log-in, each proving one user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID
from common.db.types import utc_now
from common.errors import Unauthenticated
from services.identity.api.kit import Kit
from services.identity.api.schemas.auth import IdentityPart, UserRef, expecting
from services.identity.db import users
from services.identity.db.users import Member

UNSUPPORTED = "Attempted to authenticate with an unsupported method."


@dataclass(frozen=True, slots=True)
class Proven:
    """A user who showed who it is."""

    user_id: str
    methods: tuple[str, ...]
    parent: Caller | None = None  # whose token was shown


def prove(kit: Kit, identity: IdentityPart) -> Proven:
    """The user, if every method asked for proves the same one.  Unauthenticated, InvalidInput"""
    names = tuple(dict.fromkeys(identity.methods))  # the same one twice is one
    if not names:
        raise expecting("methods", "identity")
    if not set(names) <= METHODS.keys():
        raise Unauthenticated(UNSUPPORTED)
    proven = [METHODS[name](kit, identity) for name in names]
    if len({one.user_id for one in proven}) != 1:
        raise Unauthenticated(NOT_VALID)
    methods = dict.fromkeys(names + tuple(method for one in proven for method in one.methods))
    parent = next((one.parent for one in proven if one.parent), None)
    return Proven(proven[0].user_id, tuple(methods), parent)


def _by_token(kit: Kit, identity: IdentityPart) -> Proven:
    if identity.token is None:
        raise expecting("token", "identity")
    parent = kit.verifier.verify(identity.token.id)
    return Proven(parent.user_id, parent.methods, parent)


def _by_password(kit: Kit, identity: IdentityPart) -> Proven:
    if identity.password is None:
        raise expecting("password", "identity")
    asked = identity.password.user
    _well_named(asked)
    if not kit.passwords.may_be_one(asked.password):
        raise Unauthenticated(NOT_VALID)
    with kit.passwords.turn():
        return Proven(_compared(kit, asked), ("password",))


def _well_named(asked: UserRef) -> None:
    if asked.id is None and asked.name is None:
        raise expecting("id or name", "user")
    if asked.id is None and (asked.domain is None or (asked.domain.id is None and asked.domain.name is None)):
        raise expecting("domain", "user")


def _compared(kit: Kit, asked: UserRef) -> str:
    """The user's id.  Every refusal takes the same steps, whatever the reason is.  Unauthenticated"""
    now = utc_now()
    with kit.database.reading() as session:
        member = _wanted(kit, asked)(session)
        subject = member.user.id if member else _nobody(asked)
        failed = users.failures(session, subject)
    matches = kit.passwords.matches(member.user.password_hash if member else None, asked.password)
    if failed and kit.lockout.is_locked(failures=failed.failures, last_at=failed.last_at, now=now):
        raise Unauthenticated(NOT_VALID, reason="locked out")
    if member is None or not matches or not member.is_enabled:
        with kit.database.transaction() as session:
            users.note_failure(session, subject, now)
        raise Unauthenticated(NOT_VALID)
    if failed or kit.passwords.is_outdated(member.user.password_hash or ""):
        _tidy(kit, member, asked.password)
    return member.user.id


def _wanted(kit: Kit, asked: UserRef) -> Callable[..., Member | None]:
    if asked.id is not None:
        user_id = asked.id
        return lambda session: users.by_id(session, user_id)
    domain, name = asked.domain, asked.name or ""
    assert domain is not None
    return lambda session: users.by_name(session, name, domain_id=domain.id, domain_name=domain.name)


def _nobody(asked: UserRef) -> str:
    """What failures of a name that nobody has are counted under."""
    domain = asked.domain
    parts = (asked.id, asked.name, domain and domain.id, domain and domain.name)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _tidy(kit: Kit, member: Member, password: str) -> None:
    """After a success: no failures any more, and a hash with today's numbers."""
    with kit.database.transaction() as session:
        users.forget_failures(session, member.user.id)
        if kit.passwords.is_outdated(member.user.password_hash or ""):
            users.known(session, member.user.id).password_hash = kit.passwords.hash(password)


METHODS: dict[str, Callable[[Kit, IdentityPart], Proven]] = {"password": _by_password, "token": _by_token}
