"""Services, endpoints and regions.  Identity API v3, "Service catalog and endpoints", "Regions"."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy import select

from common.http.identity import Caller
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, flag, listed
from services.identity.api.routing import Router
from services.identity.db import catalog
from services.identity.db.lists import matching, page
from services.identity.db.tables import Endpoint, Region, Service

router = Router()

# fmt: off
RULES = {
    "identity:get_service":     "rule:cloud_reader",
    "identity:list_services":   "rule:cloud_reader",
    "identity:get_endpoint":    "rule:cloud_reader",
    "identity:list_endpoints":  "rule:cloud_reader",
    "identity:get_region":      "rule:everybody",
    "identity:list_regions":    "rule:everybody",
}
# fmt: on


def shown_service(kit: Kit, service: Service) -> dict[str, Any]:
    return {
        "id": service.id,
        "name": service.name,
        "type": service.type,
        "enabled": service.enabled,
        "description": service.description,
        "links": {"self": f"{kit.url}/services/{service.id}"},
    }


def shown_endpoint(kit: Kit, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "interface": endpoint.interface,
        "region_id": endpoint.region_id,
        "service_id": endpoint.service_id,
        "url": endpoint.url,
        "enabled": endpoint.enabled,
        "region": endpoint.region_id,
        "links": {"self": f"{kit.url}/endpoints/{endpoint.id}"},
    }


def shown_region(kit: Kit, region: Region) -> dict[str, Any]:
    return {
        "id": region.id,
        "description": region.description,
        "parent_region_id": region.parent_region_id,
        "links": {"self": f"{kit.url}/regions/{region.id}"},
    }


@router.look("/v3/services", "identity:list_services")
def list_services(
    request: Request, caller: Caller, kit: KitOf, asked: PageOf, name: str | None = None, type: str | None = None
) -> Response:
    kit.policy.must("identity:list_services", caller)
    query = matching(select(Service), {Service.name: name, Service.type: type})
    with kit.database.reading() as session:
        rows, more = page(session, query, Service.id, asked)
        return listed(request, kit, "services", [shown_service(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/services/{service_id}", "identity:get_service")
def show_service(service_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_service", caller)
    with kit.database.reading() as session:
        return Json({"service": shown_service(kit, catalog.known_service(session, service_id))})


@router.look("/v3/endpoints", "identity:list_endpoints")
def list_endpoints(
    request: Request,
    caller: Caller,
    kit: KitOf,
    asked: PageOf,
    service_id: str | None = None,
    interface: str | None = None,
    region_id: str | None = None,
    enabled: str | None = None,
) -> Response:
    kit.policy.must("identity:list_endpoints", caller)
    filters = {Endpoint.service_id: service_id, Endpoint.interface: interface, Endpoint.region_id: region_id}
    query = matching(select(Endpoint), filters | {Endpoint.enabled: flag(enabled)})
    with kit.database.reading() as session:
        rows, more = page(session, query, Endpoint.id, asked)
        shown = [shown_endpoint(kit, row) for row in rows]
        return listed(request, kit, "endpoints", shown, more=more, limit=asked.limit)


@router.look("/v3/endpoints/{endpoint_id}", "identity:get_endpoint")
def show_endpoint(endpoint_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_endpoint", caller)
    with kit.database.reading() as session:
        return Json({"endpoint": shown_endpoint(kit, catalog.known_endpoint(session, endpoint_id))})


@router.look("/v3/regions", "identity:list_regions")
def list_regions(
    request: Request, caller: Caller, kit: KitOf, asked: PageOf, parent_region_id: str | None = None
) -> Response:
    kit.policy.must("identity:list_regions", caller)
    query = matching(select(Region), {Region.parent_region_id: parent_region_id})
    with kit.database.reading() as session:
        rows, more = page(session, query, Region.id, asked)
        return listed(request, kit, "regions", [shown_region(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/regions/{region_id}", "identity:get_region")
def show_region(region_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_region", caller)
    with kit.database.reading() as session:
        return Json({"region": shown_region(kit, catalog.known_region(session, region_id))})
