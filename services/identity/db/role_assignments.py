"""Assignments with the names of everything in them.  The number of queries does not depend on what there is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from services.identity.core import role_assignments
from services.identity.core.role_assignments import Held, Named
from services.identity.db.tables import Assignment, Domain, Group, ImpliedRole, Membership, Project, Role, User

HOME, AROUND, TARGET, OF_ROLE = aliased(Domain), aliased(Domain), aliased(Domain), aliased(Domain)
MOST_LISTED = 500  # ids in one condition; beyond that, all that there could be are read


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which assignments; None: any."""

    user_id: str | None = None
    group_id: str | None = None
    role_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    inherited: bool | None = None
    subtree: bool = False  # with `project_id`: also on the projects below it
    within: str | None = None  # only on this domain and on its projects


def given(session: Session, wanted: Wanted) -> Sequence[Held]:
    """As they were made."""
    asked = [_equal(Assignment.role_id, wanted.role_id), _equal(Assignment.actor_id, wanted.user_id or wanted.group_id)]
    if wanted.project_id is not None:
        asked += [Assignment.kind == "project", Assignment.target_id.in_(_interest(wanted))]
    return _found(session, wanted, [one for one in asked if one is not None])


def effective(session: Session, wanted: Wanted) -> Iterator[Held]:
    """What users hold because of them: see `core.role_assignments`."""
    asked: list[ColumnElement[bool]] = []
    if wanted.domain_id is not None:
        asked.append(Assignment.inherited.is_(False))  # those count below it
    if wanted.user_id is not None:
        groups = session.scalars(select(Membership.group_id).where(Membership.user_id == wanted.user_id))
        asked.append(Assignment.actor_id.in_([wanted.user_id, *groups]))
    if wanted.project_id is not None:
        asked += _bearing_on(session, _interest(wanted))
    found = _found(session, wanted, asked)
    held = role_assignments.effective(
        found,
        members=_members(session, {one.who.id for one in found if one.actor == "group"}, wanted.user_id),
        below=_below(session, {one.target.id for one in found if one.inherited}, wanted),
        implied=_implied(session),
    )
    return (one for one in held if wanted.role_id in (None, one.role.id))


def _bearing_on(session: Session, interest: Select[str]) -> list[ColumnElement[bool]]:
    """Given on one of these projects, or inherited from above one of them.

    Their ids are asked for first: PostgreSQL would read all assignments rather than look up what a subquery finds.
    """
    above = _upwards(interest)
    projects = set(session.scalars(interest))
    sources = set(session.scalars(select(above.c.source)))
    here = and_(Assignment.kind == "project", Assignment.target_id.in_(projects), Assignment.inherited.is_(False))
    from_above = and_(Assignment.target_id.in_(sources), Assignment.inherited.is_(True))
    places = Assignment.target_id.in_(projects | sources)
    return [Assignment.kind.in_(("project", "domain")), places, or_(here, from_above)]


def _interest(wanted: Wanted) -> Select[str]:
    """Ids of the project that is asked for and, with its subtree, of those below it."""
    if not wanted.subtree:
        return select(Project.id).where(Project.id == wanted.project_id)
    tree = select(Project.id).where(Project.id == wanted.project_id).cte("tree", recursive=True)
    tree = tree.union_all(select(Project.id).join(tree, Project.parent_id == tree.c.id))
    return select(tree.c.id)


def _upwards(interest: Select[str]) -> CTE:
    """Each of these projects with each project and domain above it."""
    start = select(Project.id.label("project"), Project.parent_id.label("source")).where(Project.id.in_(interest))
    above = start.cte("upwards", recursive=True)
    return above.union_all(select(above.c.project, Project.parent_id).join(above, Project.id == above.c.source))


def _downwards(sources: Collection[str]) -> CTE:
    """The same from above: each project below one of `sources`, with that."""
    start = select(Project.id.label("project"), Project.parent_id.label("source"))
    if len(sources) <= MOST_LISTED:
        start = start.where(Project.parent_id.in_(sources))
    below = start.cte("downwards", recursive=True)
    return below.union_all(select(Project.id, below.c.source).join(below, Project.parent_id == below.c.project))


def _below(session: Session, sources: Collection[str], wanted: Wanted) -> dict[str, list[Named]]:
    """Project or domain id -> the projects below it that matter."""
    if not sources:
        return {}
    pairs = _downwards(sources) if wanted.project_id is None else _upwards(_interest(wanted))
    query = (
        select(pairs.c.source, Project.id, Project.name, Domain.id, Domain.name)
        .join(Project, Project.id == pairs.c.project)
        .join(Domain, Domain.id == Project.domain_id)
    )
    found: dict[str, list[Named]] = {}
    for source, project_id, project, domain_id, domain in sorted(session.execute(query), key=itemgetter(1)):
        found.setdefault(source, []).append(Named(project_id, project, Named(domain_id, domain)))
    return found


def _members(session: Session, group_ids: Collection[str], user_id: str | None) -> dict[str, list[Named]]:
    """Group id -> its users, or the one that is asked for."""
    if not group_ids:
        return {}
    query = (
        select(Membership.group_id, User.id, User.name, Domain.id, Domain.name)
        .join(User, User.id == Membership.user_id)
        .join(Domain, Domain.id == User.domain_id)
        .order_by(User.id)
    )
    if user_id is not None:
        query = query.where(User.id == user_id)
    elif len(group_ids) <= MOST_LISTED:
        query = query.where(Membership.group_id.in_(group_ids))
    found: dict[str, list[Named]] = {}
    for group_id, member_id, name, domain_id, domain in session.execute(query):
        found.setdefault(group_id, []).append(Named(member_id, name, Named(domain_id, domain)))
    return found


def _implied(session: Session) -> dict[str, list[Named]]:
    """Role id -> the roles that it implies directly."""
    query = (
        select(ImpliedRole.prior_id, Role.id, Role.name, Domain.id, Domain.name)
        .join(Role, Role.id == ImpliedRole.implied_id)
        .outerjoin(Domain, Domain.id == Role.domain_id)
    )
    following: dict[str, list[Named]] = {}
    for prior_id, role_id, name, domain_id, domain in session.execute(query.order_by(Role.name)):
        following.setdefault(prior_id, []).append(Named(role_id, name, _home(domain_id, domain)))
    return following


def _found(session: Session, wanted: Wanted, asked: Sequence[ColumnElement[bool]]) -> list[Held]:
    query = _all().where(*asked)
    if wanted.domain_id is not None:
        query = query.where(Assignment.kind == "domain", Assignment.target_id == wanted.domain_id)
    if wanted.system:
        query = query.where(Assignment.kind == "system")
    if wanted.inherited is not None:
        query = query.where(Assignment.inherited.is_(wanted.inherited))
    if wanted.within is not None:
        query = query.where(or_(Project.domain_id == wanted.within, TARGET.id == wanted.within))
    key = (Assignment.actor_id, Assignment.kind, Assignment.target_id, Assignment.role_id, Assignment.inherited)
    return [_held(row) for row in session.execute(query.order_by(*key))]


def _equal(column: InstrumentedAttribute[str], value: str | None) -> ColumnElement[bool] | None:
    return None if value is None else column == value


def _all() -> Select[*tuple[Any, ...]]:
    home = func.coalesce(User.domain_id, Group.domain_id)
    return (
        select(
            Assignment.kind, Assignment.inherited, Role.id, Role.name, OF_ROLE.id, OF_ROLE.name,
            Assignment.actor, Assignment.actor_id, func.coalesce(User.name, Group.name, ""), HOME.id, HOME.name,
            Project.id, Project.name, AROUND.id, AROUND.name, TARGET.id, TARGET.name,
        )
        .join(Role, Role.id == Assignment.role_id)
        .outerjoin(OF_ROLE, OF_ROLE.id == Role.domain_id)
        .outerjoin(User, and_(Assignment.actor == "user", User.id == Assignment.actor_id))
        .outerjoin(Group, and_(Assignment.actor == "group", Group.id == Assignment.actor_id))
        .outerjoin(HOME, HOME.id == home)
        .outerjoin(Project, and_(Assignment.kind == "project", Project.id == Assignment.target_id))
        .outerjoin(AROUND, AROUND.id == Project.domain_id)
        .outerjoin(TARGET, and_(Assignment.kind == "domain", TARGET.id == Assignment.target_id))
    )  # fmt: skip


def _held(row: Row[*tuple[Any, ...]]) -> Held:
    kind, inherited, role_id, role, *rest = row
    of_role_id, of_role, actor, actor_id, name, home_id, home, *place = rest
    project_id, project, around_id, around, target_id, target = place
    on = {
        "project": Named(project_id, project, _home(around_id, around)),
        "domain": Named(target_id, target),
        "system": Named("all", "all"),
    }[kind]
    has = Named(role_id, role, _home(of_role_id, of_role))
    return Held(has, actor, Named(actor_id, name, _home(home_id, home)), kind, on, inherited, assigned=role_id)


def _home(domain_id: str | None, name: str | None) -> Named | None:
    return None if domain_id is None else Named(domain_id, name or "")
