"""Assignments with the names of everything in them, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, or_, select
from sqlalchemy.orm import Session, aliased

from services.identity.core.role_assignments import Held, Named
from services.identity.db.lists import Filters, matching
from services.identity.db.tables import Assignment, Domain, ImpliedRole, Project, Role, User

HOME, AROUND, TARGET = aliased(Domain), aliased(Domain), aliased(Domain)


def found(session: Session, filters: Filters, *, within: str | None = None) -> Sequence[Held]:
    """Those that match; `within` a domain: on it or on its projects."""
    query = matching(_all(), filters)
    if within is not None:
        query = query.where(or_(Project.domain_id == within, TARGET.id == within))
    key = (Assignment.actor_id, Assignment.kind, Assignment.target_id, Assignment.role_id)
    return [_held(row) for row in session.execute(query.order_by(*key))]


def implied(session: Session) -> dict[str, list[Named]]:
    """Role id -> the roles that it implies directly."""
    query = select(ImpliedRole.prior_id, Role.id, Role.name).join(Role, Role.id == ImpliedRole.implied_id)
    following: dict[str, list[Named]] = {}
    for prior_id, role_id, name in session.execute(query.order_by(Role.name)):
        following.setdefault(prior_id, []).append(Named(role_id, name))
    return following


def _all() -> Select[*tuple[Any, ...]]:
    on_project = and_(Assignment.kind == "project", Project.id == Assignment.target_id)
    on_domain = and_(Assignment.kind == "domain", TARGET.id == Assignment.target_id)
    return (
        select(
            Assignment.kind, Role.id, Role.name, User.id, User.name, HOME.id, HOME.name,
            Project.id, Project.name, AROUND.id, AROUND.name, TARGET.id, TARGET.name,
        )
        .join(Role, Role.id == Assignment.role_id)
        .join(User, User.id == Assignment.actor_id)
        .join(HOME, HOME.id == User.domain_id)
        .outerjoin(Project, on_project)
        .outerjoin(AROUND, AROUND.id == Project.domain_id)
        .outerjoin(TARGET, on_domain)
    )  # fmt: skip


def _held(row: Row[*tuple[Any, ...]]) -> Held:
    kind, role_id, role, user_id, user, home_id, home, project_id, project, around_id, around, target_id, target = row
    if kind == "project":
        on = Named(project_id, project, Named(around_id, around))
    else:
        on = Named(target_id, target) if kind == "domain" else Named("all", "all")
    return Held(Named(role_id, role), Named(user_id, user, Named(home_id, home)), kind, on, assigned=role_id)
