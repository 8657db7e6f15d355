"""Whether a password is somebody's.  The one place that compares passwords, for log-ins and for their change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from common.auth.tokens import NOT_VALID
from common.db.types import utc_now
from common.errors import Unauthenticated
from services.identity.api.kit import Kit
from services.identity.api.schemas.auth import UserRef
from services.identity.core.password_rules import is_expired
from services.identity.db import users
from services.identity.db.tables import LoginFailure
from services.identity.db.users import Member


def log_in(kit: Kit, asked: UserRef) -> Member:
    """Unauthenticated; says so when the password is right and only too old."""
    member = whose(kit, asked)
    if is_expired(member.user.password_expires_at, member.user.options, utc_now()):
        raise Unauthenticated(f"The password is expired and needs to be changed for user: {member.user.id}.")
    return member


def whose(kit: Kit, asked: UserRef) -> Member:
    """Who has the name and the password, be it expired or not.  Unauthenticated"""
    if not kit.passwords.may_be_one(asked.password):
        raise Unauthenticated(NOT_VALID)
    with kit.passwords.turn():
        return _compared(kit, asked)


def _compared(kit: Kit, asked: UserRef) -> Member:
    """Every refusal takes the same steps, whatever the reason is."""
    now = utc_now()
    with kit.database.reading() as session:
        member = _wanted(asked)(session)
        subject = member.user.id if member else _nobody(asked)
        failed = users.failures(session, subject)
    matches = kit.passwords.matches(member.user.password_hash if member else None, asked.password)
    if _is_locked(kit, member, failed, now):
        raise Unauthenticated(NOT_VALID, reason="locked out")
    if member is None or not matches or not kit.may_act(member):
        with kit.database.transaction() as session:
            users.note_failure(session, subject, now)
        raise Unauthenticated(NOT_VALID)
    _tidy(kit, member, asked.password, failed, now)
    return member


def _wanted(asked: UserRef) -> Callable[..., Member | None]:
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


def _is_locked(kit: Kit, member: Member | None, failed: LoginFailure | None, now: datetime) -> bool:
    if failed is None or (member and member.user.options.get("ignore_lockout_failure_attempts")):
        return False
    return kit.lockout.is_locked(failures=failed.failures, last_at=failed.last_at, now=now)


def _tidy(kit: Kit, member: Member, password: str, failed: LoginFailure | None, now: datetime) -> None:
    """After a success: no failures any more, a hash with today's numbers, and the day it was."""
    is_outdated = kit.passwords.is_outdated(member.user.password_hash or "")
    was_here_today = member.user.active_at is not None and member.user.active_at.date() == now.date()
    if not failed and not is_outdated and was_here_today:
        return
    hashed = kit.passwords.hash(password) if is_outdated else None
    with kit.database.transaction() as session:
        users.note_login(session, member.user, now, rehashed=hashed)
        if failed:
            users.forget_failures(session, member.user.id)
