"""Roles, and which of them a user holds where: given to it or to a group of it, inherited from above, or implied."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import CTE, BindParameter, Select, String, bindparam, cast, select, union_all, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from services.identity.core.scopes import Scope
from services.identity.db.delegation_tables import ApplicationCredential, Trust
from services.identity.db.tables import Assignment, ImpliedRole, Membership, Project, Role

USER: BindParameter[str] = bindparam("user_id")


def known(session: Session, role_id: str) -> Role:
    """NotFound, in Keystone's words."""
    if (role := session.get(Role, role_id)) is None:
        raise NotFound(f"Could not find role: {role_id}.")
    return role


def stored(session: Session, role: Role) -> Role:
    """Write a new or changed role.  Conflict when there is one of that name."""
    session.add(role)
    name = role.name
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"Conflict occurred attempting to store role - Duplicate entry found with name {name}."
        ) from error
    return role


def actors() -> CTE:
    """The user `:user_id` and its groups."""
    groups = select(Membership.group_id).where(Membership.user_id == USER)
    return select(USER.label("id")).union_all(groups).cte("actors")


def _held() -> Select[Role]:
    """Of user `:user_id` on the `:kind` `:target_id`."""
    actor = actors()
    target: BindParameter[str] = bindparam("target_id")
    above = select(Project.parent_id.label("id")).where(Project.id == target).cte("above", recursive=True)
    above = above.union_all(select(Project.parent_id).join(above, Project.id == above.c.id))  # last: the domain
    own = Assignment.actor_id.in_(select(actor.c.id))
    here = select(Assignment.role_id.label("id")).where(
        own, Assignment.kind == bindparam("kind"), Assignment.target_id == target, Assignment.inherited.is_(False)
    )
    from_above = select(Assignment.role_id).where(
        own,
        Assignment.kind.in_(("project", "domain")),
        Assignment.target_id.in_(select(above.c.id)),
        Assignment.inherited.is_(True),
    )
    given = union_all(here, from_above).subquery()
    held = select(given.c.id).cte("held", recursive=True)
    held = held.union(select(ImpliedRole.implied_id).join(held, held.c.id == ImpliedRole.prior_id))
    return select(Role).where(Role.id.in_(select(held.c.id)), Role.domain_id.is_(None)).order_by(Role.name)


HELD = _held()  # built once: that takes longer than asking


def held(session: Session, user_id: str, scope: Scope) -> Sequence[Role]:
    """The roles that a token of the user for this scope carries, by name.

    A domain's own roles are not among them: they are there to imply others.
    """
    asked = {"user_id": user_id, "kind": scope.kind, "target_id": scope.target_id}
    return session.scalars(HELD, asked).all()


def counting() -> CTE:
    """Ids of the roles that bring a token something: those of no domain, and those that imply such a one."""
    found = select(Role.id).where(Role.domain_id.is_(None)).cte("counting", recursive=True)
    return found.union(select(ImpliedRole.prior_id).join(found, found.c.id == ImpliedRole.implied_id))


def reachable_projects() -> CTE:
    """Ids of the projects on which user `:user_id` holds a role, in any way."""
    actor, useful = actors(), counting()
    given = select(Assignment.target_id.label("id")).where(
        Assignment.actor_id.in_(select(actor.c.id)), Assignment.role_id.in_(select(useful.c.id))
    )
    roots = given.where(Assignment.kind.in_(("project", "domain")), Assignment.inherited.is_(True))
    below = select(Project.id).where(Project.parent_id.in_(roots)).cte("below", recursive=True)
    below = below.union(select(Project.id).join(below, Project.parent_id == below.c.id))
    direct = given.where(Assignment.kind == "project", Assignment.inherited.is_(False))
    return direct.union(select(below.c.id)).cte("reachable")


def reachable_domains() -> CTE:
    """The same for domains, where nothing is inherited."""
    actor, useful = actors(), counting()
    return (
        select(Assignment.target_id.label("id"))
        .where(
            Assignment.actor_id.in_(select(actor.c.id)),
            Assignment.kind == "domain",
            Assignment.inherited.is_(False),
            Assignment.role_id.in_(select(useful.c.id)),
        )
        .distinct()
        .cte("reachable")
    )


def implied_by(session: Session, role_ids: Sequence[str]) -> Sequence[Role]:
    """These roles and all that they imply, near or far."""
    found = select(Role.id).where(Role.id.in_(role_ids)).cte("found", recursive=True)
    found = found.union(select(ImpliedRole.implied_id).join(found, found.c.id == ImpliedRole.prior_id))
    return session.scalars(select(Role).where(Role.id.in_(select(found.c.id))).order_by(Role.name)).all()


def remove(session: Session, role: Role) -> None:
    """With all that gives it: assignments and rules go by themselves; what acts in a user's name loses it here."""
    for kind in (ApplicationCredential, Trust):
        _forget(session, kind, role.id)
    session.delete(role)
    session.flush()


def _forget(session: Session, kind: type[ApplicationCredential] | type[Trust], role_id: str) -> None:
    maybe = cast(kind.role_ids, String).contains(role_id)  # a glance at the text of all of them
    for one_id, role_ids in session.execute(select(kind.id, kind.role_ids).where(maybe)).all():
        session.execute(
            update(kind).where(kind.id == one_id).values(role_ids=[one for one in role_ids if one != role_id])
        )
