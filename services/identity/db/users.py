"""Users, and their failed log-ins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from services.identity.db.delegation_tables import AccessRule, ApplicationCredential, Credential, CredentialRule
from services.identity.db.tables import Assignment, Domain, FormerPassword, LoginFailure, Membership, User


@dataclass(frozen=True, slots=True)
class Member:
    """A user with the domain it lives in."""

    user: User
    domain: Domain


@dataclass(frozen=True, slots=True)
class NewPassword:
    """None for `hashed`: no log-in by password."""

    hashed: str | None = field(repr=False)
    set_at: datetime
    expires_at: datetime | None
    by_owner: bool


def _members() -> Select[User, Domain]:
    return select(User, Domain).join(Domain, Domain.id == User.domain_id)


def _one(session: Session, query: Select[User, Domain]) -> Member | None:
    found = session.execute(query).one_or_none()
    return Member(found[0], found[1]) if found else None


BY_ID = _members().where(User.id == bindparam("user_id"))  # built once: each token asks this


def by_id(session: Session, user_id: str) -> Member | None:
    found = session.execute(BY_ID, {"user_id": user_id}).one_or_none()
    return Member(found[0], found[1]) if found else None


def by_name(
    session: Session, name: str, *, domain_id: str | None = None, domain_name: str | None = None
) -> Member | None:
    """The domain is given by its id or by its name."""
    where = Domain.id == domain_id if domain_id is not None else Domain.name == domain_name
    return _one(session, _members().where(User.name == name, where))


def known(session: Session, user_id: str, *, locked: bool = False) -> User:
    """NotFound, in Keystone's words.  `locked`: nobody else changes it until the transaction ends."""
    if (user := session.get(User, user_id, with_for_update=locked or None)) is None:
        raise NotFound(f"Could not find user: {user_id}.")
    return user


def remove(session: Session, user: User) -> None:
    """With its roles and all that acts in its name."""
    session.execute(delete(Assignment).where(Assignment.actor_id == user.id))
    own = select(ApplicationCredential.id).where(ApplicationCredential.user_id == user.id)
    session.execute(delete(CredentialRule).where(CredentialRule.credential_id.in_(own)))  # before the rules they name
    for table in (ApplicationCredential, AccessRule, Credential, Membership, FormerPassword):
        session.execute(delete(table).where(table.user_id == user.id))
    forget_failures(session, user.id)
    session.delete(user)


def note_login(session: Session, user: User, now: datetime, *, rehashed: str | None) -> None:
    """`rehashed` replaces the hash that `user` was read with, unless the password was changed meanwhile."""
    session.execute(update(User).where(User.id == user.id).values(active_at=now))
    if rehashed:
        same = User.id == user.id, User.password_hash == user.password_hash
        session.execute(update(User).where(*same).values(password_hash=rehashed))


def former_passwords(session: Session, user_id: str, most: int) -> Sequence[str]:
    """Hashes of the latest ones, but for the present."""
    newest = select(FormerPassword.password_hash).where(FormerPassword.user_id == user_id)
    return session.scalars(newest.order_by(FormerPassword.id.desc()).limit(most)).all()


def set_password(session: Session, user: User, new: NewPassword, *, remember: int) -> None:
    """`remember`: how many former ones are kept."""
    if user.password_hash and user.password_set_at and remember:
        session.add(FormerPassword(user_id=user.id, password_hash=user.password_hash, set_at=user.password_set_at))
        session.flush()
    own = FormerPassword.user_id == user.id
    kept = select(FormerPassword.id).where(own).order_by(FormerPassword.id.desc()).limit(remember)
    session.execute(delete(FormerPassword).where(own, FormerPassword.id.not_in(kept)))
    user.password_hash, user.password_set_at = new.hashed, new.set_at
    user.password_expires_at, user.must_change_password = new.expires_at, not new.by_owner


def failures(session: Session, subject: str) -> LoginFailure | None:
    return session.get(LoginFailure, subject)


def note_failure(session: Session, subject: str, now: datetime) -> None:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    noted = insert(LoginFailure).values(subject=subject, failures=1, last_at=now)
    session.execute(
        noted.on_conflict_do_update(
            index_elements=["subject"], set_={"failures": LoginFailure.failures + 1, "last_at": now}
        )
    )


def forget_failures(session: Session, subject: str) -> None:
    session.execute(delete(LoginFailure).where(LoginFailure.subject == subject))


def forget_old_failures(session: Session, before: datetime) -> None:
    session.execute(delete(LoginFailure).where(LoginFailure.last_at < before))


def add(session: Session, user: User) -> None:
    """Conflict when its domain has one of that name."""
    session.add(user)
    keep(session, user)


def keep(session: Session, user: User) -> None:
    """Write what is new or was changed.  Conflict when another one of its domain has the name."""
    name, domain_id = user.name, user.domain_id
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"Conflict occurred attempting to store user - Duplicate entry found with name {name} "
            f"at domain ID {domain_id}."
        ) from error
