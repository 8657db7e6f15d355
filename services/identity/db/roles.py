"""Roles, what they imply, and who has them where."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, bindparam, delete, exists, select
from sqlalchemy.orm import Session

from common.errors import NotFound
from services.identity.core.scopes import Scope
from services.identity.db.tables import Assignment, ImpliedRole, Role


def known(session: Session, role_id: str) -> Role:
    """NotFound, in Keystone's words."""
    if (role := session.get(Role, role_id)) is None:
        raise NotFound(f"Could not find role: {role_id}.")
    return role


def _held() -> Select[Role]:
    given = select(Assignment.role_id.label("id")).where(
        Assignment.actor_id == bindparam("user_id"),
        Assignment.kind == bindparam("kind"),
        Assignment.target_id == bindparam("target_id"),
    )
    held = given.cte("held", recursive=True)
    held = held.union(select(ImpliedRole.implied_id).join(held, held.c.id == ImpliedRole.prior_id))
    return select(Role).where(Role.id.in_(select(held.c.id))).order_by(Role.name)


HELD = _held()  # built once: that takes longer than asking


def held(session: Session, user_id: str, scope: Scope) -> Sequence[Role]:
    """The user's roles on the scope, implied ones included, by name."""
    asked = {"user_id": user_id, "kind": scope.kind, "target_id": scope.target_id}
    return session.scalars(HELD, asked).all()


def given(user_id: str, scope: Scope) -> Select[Role]:
    """The roles assigned to the user on the scope itself."""
    assigned = exists().where(
        Assignment.role_id == Role.id,
        Assignment.actor_id == user_id,
        Assignment.kind == scope.kind,
        Assignment.target_id == scope.target_id,
    )
    return select(Role).where(assigned)


def is_given(session: Session, user_id: str, scope: Scope, role_id: str) -> bool:
    return session.get(Assignment, (user_id, scope.kind, scope.target_id, role_id, False)) is not None


def give(session: Session, user_id: str, scope: Scope, role_id: str) -> None:
    """Twice is once."""
    if not is_given(session, user_id, scope, role_id):
        session.add(
            Assignment(
                actor_id=user_id,
                actor="user",
                kind=scope.kind,
                target_id=scope.target_id,
                role_id=role_id,
                inherited=False,
            )
        )
        session.flush()


def take(session: Session, user_id: str, scope: Scope, role_id: str) -> bool:
    """Whether there was anything to take."""
    taken = delete(Assignment).where(
        Assignment.actor_id == user_id,
        Assignment.kind == scope.kind,
        Assignment.target_id == scope.target_id,
        Assignment.role_id == role_id,
    )
    return session.execute(taken.returning(Assignment.role_id)).first() is not None
