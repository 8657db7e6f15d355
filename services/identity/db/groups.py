"""Groups, and who is in them."""

from __future__ import annotations

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from services.identity.db.tables import Assignment, Group, Membership, User


def known(session: Session, group_id: str, *, locked: bool = False) -> Group:
    """NotFound, in Keystone's words.  `locked`: nobody else changes it until the transaction ends."""
    if (group := session.get(Group, group_id, with_for_update=locked or None)) is None:
        raise NotFound(f"Could not find group: {group_id}.")
    return group


def of_user(user_id: str) -> Select[Group]:
    return select(Group).join(Membership, Membership.group_id == Group.id).where(Membership.user_id == user_id)


def members(group_id: str) -> Select[User]:
    return select(User).join(Membership, Membership.user_id == User.id).where(Membership.group_id == group_id)


def is_member(session: Session, group_id: str, user_id: str) -> bool:
    return session.get(Membership, (group_id, user_id)) is not None


def enter(session: Session, group_id: str, user_id: str) -> None:
    """Twice is once."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(Membership).values(group_id=group_id, user_id=user_id).on_conflict_do_nothing())


def leave(session: Session, group_id: str, user_id: str) -> bool:
    """Whether there was anything to leave."""
    left = delete(Membership).where(Membership.group_id == group_id, Membership.user_id == user_id)
    return session.execute(left.returning(Membership.user_id)).first() is not None


def keep(session: Session, group: Group) -> None:
    """Write a new or changed group.  Conflict when another one of its domain has the name."""
    session.add(group)
    name, domain_id = group.name, group.domain_id
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"Conflict occurred attempting to store group - Duplicate entry found with name {name} "
            f"at domain ID {domain_id}."
        ) from error


def remove(session: Session, group: Group) -> None:
    """With its roles and memberships."""
    session.execute(delete(Assignment).where(Assignment.actor_id == group.id))
    session.execute(delete(Membership).where(Membership.group_id == group.id))
    session.delete(group)
