"""The catalog: services and their endpoints, and which of them a project sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.errors import Forbidden, NotFound
from services.identity.db.cloud_tables import (
    EndpointGroup,
    PolicyAssociation,
    ProjectEndpoint,
    ProjectEndpointGroup,
    RegisteredLimit,
)
from services.identity.db.tables import Endpoint, Region, Service

SHOWN: tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...] = (
    Service.id.label("service_id"), Service.type, Service.name,
    Endpoint.id, Endpoint.interface, Endpoint.region_id, Endpoint.url,
)  # fmt: skip
OFFERED = (
    select(*SHOWN)
    .join(Endpoint, Endpoint.service_id == Service.id)
    .where(Service.enabled, Endpoint.enabled)
    .order_by(Service.type, Service.id, Endpoint.id)
)


def offered(session: Session, project_id: str | None = None) -> Sequence[Row[Any]]:
    """Every enabled endpoint with its service, or those chosen for the project.  Services stay together.

    Columns alone: each new token shows all of it.
    """
    query = OFFERED
    if project_id is not None and (chosen := _chosen(session, project_id)) is not None:
        query = OFFERED.where(chosen)
    return session.connection().execute(query).all()


PROJECT: BindParameter[str] = bindparam("project_id")
CHOSEN = union_all(
    select(ProjectEndpoint.endpoint_id, cast(null(), EndpointGroup.filters.type).label("filters")).where(
        ProjectEndpoint.project_id == PROJECT
    ),
    select(cast(null(), ProjectEndpoint.endpoint_id.type), EndpointGroup.filters)
    .join(ProjectEndpointGroup, ProjectEndpointGroup.group_id == EndpointGroup.id)
    .where(ProjectEndpointGroup.project_id == PROJECT),
)  # one question, since each new token asks it


def _chosen(session: Session, project_id: str) -> ColumnElement[bool] | None:
    """What the endpoints for this project are; None when nobody chose any for it."""
    rows = session.connection().execute(CHOSEN, {"project_id": project_id}).all()
    if not rows:
        return None
    return or_(*(Endpoint.id == one if filters is None else matching(filters) for one, filters in rows))


def matching(filters: Mapping[str, Any]) -> ColumnElement[bool]:
    """The endpoints that belong to a group with these filters."""
    return and_(*(getattr(Endpoint, name) == value for name, value in filters.items()), Endpoint.id.is_not(None))


def chosen_for(session: Session, project_id: str) -> ColumnElement[bool]:
    """The same as a condition that finds nothing when nobody chose any."""
    found = _chosen(session, project_id)
    return Endpoint.id.in_(()) if found is None else found


def known_service(session: Session, service_id: str) -> Service:
    """NotFound, in Keystone's words."""
    if (service := session.get(Service, service_id)) is None:
        raise NotFound(f"Could not find service: {service_id}.")
    return service


def known_endpoint(session: Session, endpoint_id: str) -> Endpoint:
    """NotFound, in Keystone's words."""
    if (endpoint := session.get(Endpoint, endpoint_id)) is None:
        raise NotFound(f"Could not find endpoint: {endpoint_id}.")
    return endpoint


def known_region(session: Session, region_id: str) -> Region:
    """NotFound, in Keystone's words."""
    if (region := session.get(Region, region_id)) is None:
        raise NotFound(f"Could not find region: {region_id}.")
    return region


def remove_service(session: Session, service: Service) -> None:
    """With its endpoints.  Forbidden while limits are registered for it"""
    if session.scalar(select(exists().where(RegisteredLimit.service_id == service.id))):
        raise Forbidden(f"Unable to delete service {service.id} because it has registered limits.")
    own = select(Endpoint.id).where(Endpoint.service_id == service.id)
    session.execute(delete(ProjectEndpoint).where(ProjectEndpoint.endpoint_id.in_(own)))
    session.execute(
        delete(PolicyAssociation).where(
            or_(PolicyAssociation.service_id == service.id, PolicyAssociation.endpoint_id.in_(own))
        )
    )
    session.execute(delete(Endpoint).where(Endpoint.service_id == service.id))
    session.delete(service)


def remove_endpoint(session: Session, endpoint: Endpoint) -> None:
    session.execute(delete(ProjectEndpoint).where(ProjectEndpoint.endpoint_id == endpoint.id))
    session.execute(delete(PolicyAssociation).where(PolicyAssociation.endpoint_id == endpoint.id))
    session.delete(endpoint)
