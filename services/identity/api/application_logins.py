"""Log-ins with an application credential or a passcode."""

from __future__ import annotations

import hashlib
import time

from sqlalchemy.orm import Session

from common.auth.tokens import NOT_VALID
from common.db.types import utc_now
from common.errors import Unauthenticated
from services.identity.api.kit import Kit
from services.identity.api.schemas.auth import ApplicationCredentialMethod, NamedUser, TotpUser, expecting
from services.identity.core import totp
from services.identity.db import application_credentials, credentials, users
from services.identity.db.credentials import TOTP
from services.identity.db.delegation_tables import ApplicationCredential
from services.identity.db.users import Member


def by_secret(kit: Kit, asked: ApplicationCredentialMethod) -> ApplicationCredential:
    """Whose secret it is.  Every refusal takes the same steps, whatever the reason is.  Unauthenticated, InvalidInput"""
    if asked.id is None and (asked.name is None or asked.user is None):
        raise expecting("id or name with user", "application_credential")
    if not kit.passwords.may_be_one(asked.secret):
        raise Unauthenticated(NOT_VALID)
    now = utc_now()
    with kit.database.reading() as session:
        row = _wanted(session, asked)
        subject = _subject("application credential", row.id if row else repr((asked.id, asked.name, asked.user)))
        failed = users.failures(session, subject)
    matches = kit.secrets.matches(row.secret_hash if row else None, asked.secret)
    if failed and kit.lockout.is_locked(failures=failed.failures, last_at=failed.last_at, now=now):
        raise Unauthenticated(NOT_VALID, reason="locked out")
    if row is None or not matches:
        _note(kit, subject)
        raise Unauthenticated(NOT_VALID)
    return row


def _wanted(session: Session, asked: ApplicationCredentialMethod) -> ApplicationCredential | None:
    if asked.id is not None:
        return session.get(ApplicationCredential, asked.id)
    member = whose(session, asked.user or NamedUser())
    return application_credentials.by_name(session, member.user.id, asked.name or "") if member else None


def whose(session: Session, asked: NamedUser) -> Member | None:
    """The user, named by id or by name and domain.  InvalidInput"""
    if asked.id is not None:
        return users.by_id(session, asked.id)
    domain = asked.domain
    if asked.name is None:
        raise expecting("id or name", "user")
    if domain is None or (domain.id is None and domain.name is None):
        raise expecting("domain", "user")
    return users.by_name(session, asked.name, domain_id=domain.id, domain_name=domain.name)


def by_passcode(kit: Kit, asked: TotpUser) -> str:
    """The user's id, if the passcode is that of one of its seeds and was not used yet.  Unauthenticated"""
    now = utc_now()
    with kit.database.reading() as session:
        member = whose(session, asked)
        user_id = member.user.id if member else repr((asked.id, asked.name, asked.domain))
        subject = _subject("passcode", user_id)
        failed = users.failures(session, subject)
        seeds = [(one.id, one.sealed) for one in credentials.of_user(session, user_id, TOTP)]
    matching = [(one, step) for one, sealed in seeds if (step := _step(kit, sealed, asked.passcode)) is not None]
    if failed and kit.lockout.is_locked(failures=failed.failures, last_at=failed.last_at, now=now):
        raise Unauthenticated(NOT_VALID, reason="locked out")
    if member is None or not _first_use(kit, matching):
        _note(kit, subject)
        raise Unauthenticated(NOT_VALID)
    if failed:
        with kit.database.transaction() as session:
            users.forget_failures(session, subject)
    return member.user.id


def _step(kit: Kit, sealed: str, passcode: str) -> int | None:
    key = totp.seed(kit.blobs.opened(sealed) or "")
    return totp.step_of(key, passcode, time.time()) if key else None


def _first_use(kit: Kit, matching: list[tuple[str, int]]) -> bool:
    if not matching:
        return False
    with kit.database.transaction() as session:
        return any(credentials.use_passcode(session, one, step, utc_now()) for one, step in matching)


def _note(kit: Kit, subject: str) -> None:
    with kit.database.transaction() as session:
        users.note_failure(session, subject, utc_now())


def _subject(what: str, whose: str) -> str:
    """What failures are counted under: apart from those of the user's password."""
    return hashlib.sha256(f"{what} {whose}".encode()).hexdigest()
