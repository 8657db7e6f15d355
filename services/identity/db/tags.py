"""Tags of projects and of domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select
from sqlalchemy.orm import Session

from services.identity.db.tables import Domain, DomainTag, Project, ProjectTag


def of_projects(session: Session, project_ids: Sequence[str]) -> Mapping[str, list[str]]:
    """Project id -> its tags in their order; in one query for all of them."""
    found: dict[str, list[str]] = {project_id: [] for project_id in project_ids}
    query = select(ProjectTag.project_id, ProjectTag.tag).where(ProjectTag.project_id.in_(project_ids))
    for project_id, tag in session.execute(query.order_by(ProjectTag.tag)):
        found[project_id].append(tag)
    return found


def of_domains(session: Session, domain_ids: Sequence[str]) -> Mapping[str, list[str]]:
    """The same for domains."""
    found: dict[str, list[str]] = {domain_id: [] for domain_id in domain_ids}
    query = select(DomainTag.domain_id, DomainTag.tag).where(DomainTag.domain_id.in_(domain_ids))
    for domain_id, tag in session.execute(query.order_by(DomainTag.tag)):
        found[domain_id].append(tag)
    return found


def of(session: Session, owner: Project | Domain) -> list[str]:
    found = of_projects if isinstance(owner, Project) else of_domains
    return found(session, [owner.id])[owner.id]


def replace(session: Session, owner: Project | Domain, tags: Iterable[str]) -> None:
    wanted = dict.fromkeys(tags)
    if isinstance(owner, Project):
        session.execute(delete(ProjectTag).where(ProjectTag.project_id == owner.id))
        session.add_all(ProjectTag(project_id=owner.id, tag=tag) for tag in wanted)
    else:
        session.execute(delete(DomainTag).where(DomainTag.domain_id == owner.id))
        session.add_all(DomainTag(domain_id=owner.id, tag=tag) for tag in wanted)
    session.flush()


def _has(kind: type[Project] | type[Domain], tag: str) -> ColumnElement[bool]:
    if kind is Project:
        return exists().where(ProjectTag.project_id == Project.id, ProjectTag.tag == tag)
    return exists().where(DomainTag.domain_id == Domain.id, DomainTag.tag == tag)


def having(kind: type[Project] | type[Domain], tags: Sequence[str], *, how: str) -> ColumnElement[bool]:
    """`how` is the name of the filter: tags (all of them), tags-any, not-tags (not all of them), not-tags-any."""
    each = [_has(kind, tag) for tag in tags]
    found = or_(*each) if how.endswith("any") else and_(*each)
    return ~found if how.startswith("not-") else found
