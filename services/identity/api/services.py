"""Services.  Identity API v3, "Service catalog and endpoints"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.changing import change
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.catalog import ChangedService, ServiceBody, ServiceChangeBody
from services.identity.db import catalog
from services.identity.db.tables import Service

router = Router()

# fmt: off
RULES = {
    "identity:get_service":     "rule:cloud_reader",
    "identity:list_services":   "rule:cloud_reader",
    "identity:create_service":  "rule:admin",
    "identity:update_service":  "rule:admin",
    "identity:delete_service":  "rule:admin",
}
# fmt: on

FILTERS = {"name": Service.name, "type": Service.type, "enabled": Service.enabled}


def shown(kit: Kit, service: Service) -> dict[str, Any]:
    return {
        **service.extra,
        "id": service.id,
        "name": service.name,
        "type": service.type,
        "enabled": service.enabled,
        "description": service.description,
        "links": {"self": f"{kit.url}/services/{service.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[Service]) -> list[dict[str, Any]]:
    return [shown(kit, service) for service in found]


@router.look("/v3/services", "identity:list_services", filters=FILTERS)
def list_services(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_services", caller)
    query = select(Service).where(*asked_for(request, FILTERS))
    return answer(request, kit, "services", query, Service.id, asked, partial(all_shown, kit))


@router.look("/v3/services/{service_id}", "identity:get_service")
def show_service(service_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_service", caller)
    with kit.database.reading() as session:
        return Json({"service": shown(kit, catalog.known_service(session, service_id))})


@router.make("/v3/services", "identity:create_service", takes=ServiceBody)
def create_service(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_service", caller, {})
    asked = parsed(ServiceBody, body).service
    service = Service(
        id=uuid4().hex,
        type=asked.type,
        name=asked.name,
        description=asked.description or "",
        enabled=asked.enabled,
        extra=asked.additions(),
    )
    with kit.database.transaction() as session:
        session.add(service)
    return Json({"service": shown(kit, service)}, 201)


@router.change("/v3/services/{service_id}", "identity:update_service", takes=ServiceChangeBody)
def update_service(service_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_service", caller, {})
    with kit.database.transaction() as session:
        service = catalog.known_service(session, service_id)
        asked: ChangedService = change(ServiceChangeBody, body, "service", service_id)
        for name, value in asked.given("type", "name", "description", "enabled").items():
            setattr(service, name, value or "" if name == "description" else value)
        service.extra = service.extra | asked.additions()
    return Json({"service": shown(kit, service)})


@router.remove("/v3/services/{service_id}", "identity:delete_service")
def delete_service(service_id: str, caller: Caller, kit: KitOf) -> None:
    """With its endpoints."""
    kit.policy.must("identity:delete_service", caller, {})
    with kit.database.transaction() as session:
        catalog.remove_service(session, catalog.known_service(session, service_id))
