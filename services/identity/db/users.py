"""Users, and their failed log-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from services.identity.db.tables import Assignment, Domain, LoginFailure, User


@dataclass(frozen=True, slots=True)
class Member:
    """A user with the domain it lives in."""

    user: User
    domain: Domain

    @property
    def is_enabled(self) -> bool:
        return self.user.enabled and self.domain.enabled


def _members() -> Select[User, Domain]:
    return select(User, Domain).join(Domain, Domain.id == User.domain_id)


def _one(session: Session, query: Select[User, Domain]) -> Member | None:
    found = session.execute(query).one_or_none()
    return Member(found[0], found[1]) if found else None


def by_id(session: Session, user_id: str) -> Member | None:
    return _one(session, _members().where(User.id == user_id))


def by_name(
    session: Session, name: str, *, domain_id: str | None = None, domain_name: str | None = None
) -> Member | None:
    """The domain is given by its id or by its name."""
    where = Domain.id == domain_id if domain_id is not None else Domain.name == domain_name
    return _one(session, _members().where(User.name == name, where))


def known(session: Session, user_id: str) -> User:
    """NotFound, in Keystone's words."""
    if (user := session.get(User, user_id)) is None:
        raise NotFound(f"Could not find user: {user_id}.")
    return user


def remove(session: Session, user: User) -> None:
    """With its roles."""
    session.execute(delete(Assignment).where(Assignment.actor_id == user.id))
    session.delete(user)


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
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"Conflict occurred attempting to store user - Duplicate entry found with name {user.name} "
            f"at domain ID {user.domain_id}."
        ) from error
