"""Projects and the domains around them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, bindparam, delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.db.among import among
from common.db.types import utc_now
from common.errors import Conflict, Forbidden, NotFound
from services.identity.db.cloud_tables import Limit, ProjectEndpoint, ProjectEndpointGroup
from services.identity.db.delegation_tables import ApplicationCredential, Credential, CredentialRule, Trust
from services.identity.db.roles import reachable_domains, reachable_projects
from services.identity.db.tables import Assignment, Domain, Project, ProjectTag, User

REACHABLE, REACHABLE_DOMAINS = reachable_projects(), reachable_domains()


@dataclass(frozen=True, slots=True)
class Placed:
    """A project with the domain it lives in."""

    project: Project
    domain: Domain

    @property
    def is_enabled(self) -> bool:
        return self.project.enabled and self.domain.enabled


def _placed() -> Select[Project, Domain]:
    return select(Project, Domain).join(Domain, Domain.id == Project.domain_id)


def _one(session: Session, query: Select[Project, Domain]) -> Placed | None:
    found = session.execute(query).one_or_none()
    return Placed(found[0], found[1]) if found else None


BY_ID = _placed().where(Project.id == bindparam("project_id"))  # built once: each token asks this


def by_id(session: Session, project_id: str) -> Placed | None:
    found = session.execute(BY_ID, {"project_id": project_id}).one_or_none()
    return Placed(found[0], found[1]) if found else None


def by_name(
    session: Session, name: str, *, domain_id: str | None = None, domain_name: str | None = None
) -> Placed | None:
    """The domain is given by its id or by its name."""
    where = Domain.id == domain_id if domain_id is not None else Domain.name == domain_name
    return _one(session, _placed().where(Project.name == name, where))


def known(session: Session, project_id: str) -> Project:
    """NotFound, in Keystone's words."""
    if (project := session.get(Project, project_id)) is None:
        raise NotFound(f"Could not find project: {project_id}.")
    return project


def of_user(user_id: str) -> Select[Project]:
    """Those on which the user has any role, also by a group of it or from above."""
    return select(Project).where(among(Project.id, select(REACHABLE.c.id))).params(user_id=user_id)


def open_to(user_id: str) -> Select[Project]:
    """Those that the user may get a token for."""
    return of_user(user_id).join(Domain, Domain.id == Project.domain_id).where(Project.enabled, Domain.enabled)


def remove(session: Session, project: Project) -> None:
    """With all that hangs on it.  Forbidden while it has children"""
    if session.scalar(select(exists().where(Project.parent_id == project.id))):
        raise Forbidden(
            f"Cannot delete the project {project.id} since it is not a leaf in the hierarchy. "
            "Use the cascade option if you want to delete a whole subtree."
        )
    forget(session, select(Project.id).where(Project.id == project.id))


def forget(session: Session, gone: Select[str]) -> None:
    """Delete the projects whose ids `gone` finds, with roles, limits, credentials and trusts on them."""
    session.execute(delete(Assignment).where(Assignment.kind == "project", Assignment.target_id.in_(gone)))
    session.execute(delete(Limit).where(Limit.owner == "project", Limit.owner_id.in_(gone)))
    own = select(ApplicationCredential.id).where(ApplicationCredential.project_id.in_(gone))
    session.execute(delete(CredentialRule).where(CredentialRule.credential_id.in_(own)))
    for table in (ApplicationCredential, Credential, ProjectTag, ProjectEndpoint, ProjectEndpointGroup):
        session.execute(delete(table).where(table.project_id.in_(gone)))
    trusts = Trust.project_id.in_(gone), Trust.deleted_at.is_(None)
    session.execute(update(Trust).where(*trusts).values(deleted_at=utc_now()))
    session.execute(update(User).where(User.default_project_id.in_(gone)).values(default_project_id=None))
    session.execute(delete(Project).where(Project.id.in_(gone)))
    session.expire_all()


def domain_by(session: Session, *, domain_id: str | None = None, name: str | None = None) -> Domain | None:
    where = Domain.id == domain_id if domain_id is not None else Domain.name == name
    return session.scalars(select(Domain).where(where)).one_or_none()


def known_domain(session: Session, domain_id: str) -> Domain:
    """NotFound, in Keystone's words."""
    if (domain := session.get(Domain, domain_id)) is None:
        raise NotFound(f"Could not find domain: {domain_id}.")
    return domain


def domains_open_to(user_id: str) -> Select[Domain]:
    """Those that the user may get a token for."""
    return select(Domain).where(Domain.id.in_(select(REACHABLE_DOMAINS.c.id)), Domain.enabled).params(user_id=user_id)


def keep(session: Session, project: Project) -> None:
    """Write a new or changed project.  Conflict when its domain has another one of that name."""
    session.add(project)
    name, project_id = project.name, project.id
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            "Conflict occurred attempting to store project - it is not permitted to have two projects with either the "
            f"same name or same id in the same domain: name is {name}, project id {project_id}."
        ) from error


def place(session: Session, project_id: str, *, locked: bool = False) -> Project | Domain:
    """The project, or the domain that has this id: the API shows domains as projects too.  NotFound"""
    lock = locked or None
    found = session.get(Project, project_id, with_for_update=lock)
    found_domain = None if found else session.get(Domain, project_id, with_for_update=lock)
    if (one := found or found_domain) is None:
        raise NotFound(f"Could not find project: {project_id}.")
    return one
