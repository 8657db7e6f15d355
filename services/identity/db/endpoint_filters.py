"""Which project sees which endpoints."""

from __future__ import annotations

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.orm import Session

from common.errors import NotFound
from services.identity.db import catalog
from services.identity.db.cloud_tables import EndpointGroup, ProjectEndpoint, ProjectEndpointGroup
from services.identity.db.tables import Endpoint, Project


def known_group(session: Session, group_id: str) -> EndpointGroup:
    """NotFound, in Keystone's words."""
    if (group := session.get(EndpointGroup, group_id)) is None:
        raise NotFound(f"Could not find Endpoint Group: {group_id}.")
    return group


def remove_group(session: Session, group: EndpointGroup) -> None:
    session.execute(delete(ProjectEndpointGroup).where(ProjectEndpointGroup.group_id == group.id))
    session.delete(group)


def endpoints_of_project(session: Session, project_id: str) -> Select[Endpoint]:
    """Those chosen for it one by one or by group."""
    return select(Endpoint).where(catalog.chosen_for(session, project_id))


def projects_of_endpoint(session: Session, endpoint: Endpoint) -> Select[Project]:
    """Those that were given it one by one or by group."""
    single = select(ProjectEndpoint.project_id).where(ProjectEndpoint.endpoint_id == endpoint.id)
    groups = [one.id for one in session.scalars(select(EndpointGroup)) if _holds(one, endpoint)]
    grouped = select(ProjectEndpointGroup.project_id).where(ProjectEndpointGroup.group_id.in_(groups))
    return select(Project).where(or_(Project.id.in_(single), Project.id.in_(grouped)))


def _holds(group: EndpointGroup, endpoint: Endpoint) -> bool:
    return all(getattr(endpoint, name) == value for name, value in group.filters.items())


def endpoints_of_group(group: EndpointGroup) -> Select[Endpoint]:
    return select(Endpoint).where(catalog.matching(group.filters))


def projects_of_group(group_id: str) -> Select[Project]:
    given = select(ProjectEndpointGroup.project_id).where(ProjectEndpointGroup.group_id == group_id)
    return select(Project).where(Project.id.in_(given))


def groups_of_project(project_id: str) -> Select[EndpointGroup]:
    given = select(ProjectEndpointGroup.group_id).where(ProjectEndpointGroup.project_id == project_id)
    return select(EndpointGroup).where(EndpointGroup.id.in_(given))


def give(session: Session, row: ProjectEndpoint | ProjectEndpointGroup) -> None:
    """Twice is once."""
    session.merge(row)


def take(session: Session, table: type[ProjectEndpoint] | type[ProjectEndpointGroup], *key: str) -> bool:
    """Whether there was anything to take."""
    if (row := session.get(table, key)) is None:
        return False
    session.delete(row)
    return True
