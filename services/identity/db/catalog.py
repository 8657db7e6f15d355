"""The catalog: regions, services and their endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.errors import NotFound
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


def offered(session: Session) -> Sequence[Row[Any]]:
    """Every enabled endpoint with its service; services stay together.  Columns alone: each new token shows all of it."""
    return session.connection().execute(OFFERED).all()


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
