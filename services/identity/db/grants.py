"""Roles as they were given: to a user or a group, on a project, a domain or the system, perhaps for what lives below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import ColumnElement, Select, delete, exists, select
from sqlalchemy.orm import Session

from services.identity.core.scopes import Kind, Scope
from services.identity.db.tables import Assignment, Membership, Role

Actor = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class Grant:
    """Everything of an assignment but its role."""

    actor: Actor
    actor_id: str
    scope: Scope
    inherited: bool = False


def given(grant: Grant) -> Select[Role]:
    """The roles that were given so; implied ones are not among them."""
    return select(Role).where(exists().where(Assignment.role_id == Role.id, *_is(grant)))


def is_given(session: Session, grant: Grant, role_id: str) -> bool:
    key = (grant.actor_id, grant.scope.kind, grant.scope.target_id, role_id, grant.inherited)
    return session.get(Assignment, key) is not None


def give(session: Session, grant: Grant, role_id: str) -> None:
    """Twice is once."""
    if is_given(session, grant, role_id):
        return
    session.add(
        Assignment(
            actor_id=grant.actor_id,
            actor=grant.actor,
            kind=grant.scope.kind,
            target_id=grant.scope.target_id,
            role_id=role_id,
            inherited=grant.inherited,
        )
    )
    session.flush()


def take(session: Session, grant: Grant, role_id: str) -> bool:
    """Whether there was anything to take."""
    taken = delete(Assignment).where(Assignment.role_id == role_id, *_is(grant)).returning(Assignment.role_id)
    return session.execute(taken).first() is not None


def members(session: Session, group_id: str, *, most: int) -> Sequence[str]:
    """User ids, no more than `most` of them."""
    query = select(Membership.user_id).where(Membership.group_id == group_id).order_by(Membership.user_id)
    return session.scalars(query.limit(most)).all()


def of_group(session: Session, group_id: str) -> Sequence[tuple[Grant, Role]]:
    """All that the group was given, everywhere."""
    query = select(Assignment, Role).join(Role, Role.id == Assignment.role_id).where(Assignment.actor_id == group_id)
    return [
        (Grant("group", group_id, Scope(cast(Kind, one.kind), one.target_id), one.inherited), role)
        for one, role in session.execute(query)
    ]


def _is(grant: Grant) -> tuple[ColumnElement[bool], ...]:
    return (
        Assignment.actor_id == grant.actor_id,
        Assignment.kind == grant.scope.kind,
        Assignment.target_id == grant.scope.target_id,
        Assignment.inherited.is_(grant.inherited),
    )
