"""Endpoints.  Identity API v3, "Service catalog and endpoints"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.changing import change
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.auth import expecting
from services.identity.api.schemas.catalog import ChangedEndpoint, EndpointBody, EndpointChangeBody, EndpointFields
from services.identity.core.endpoint_urls import is_well_formed
from services.identity.db import catalog, regions
from services.identity.db.tables import Endpoint, Region, Service

router = Router()

# fmt: off
RULES = {
    "identity:get_endpoint":     "rule:cloud_reader",
    "identity:list_endpoints":   "rule:cloud_reader",
    "identity:create_endpoint":  "rule:admin",
    "identity:update_endpoint":  "rule:admin",
    "identity:delete_endpoint":  "rule:admin",
}
# fmt: on

FILTERS = {
    "interface": Endpoint.interface,
    "service_id": Endpoint.service_id,
    "region_id": Endpoint.region_id,
    "enabled": Endpoint.enabled,
}


def shown(kit: Kit, endpoint: Endpoint) -> dict[str, Any]:
    return {
        **endpoint.extra,
        "id": endpoint.id,
        "interface": endpoint.interface,
        "region_id": endpoint.region_id,
        "service_id": endpoint.service_id,
        "url": endpoint.url,
        "enabled": endpoint.enabled,
        "region": endpoint.region_id,
        "links": {"self": f"{kit.url}/endpoints/{endpoint.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[Endpoint]) -> list[dict[str, Any]]:
    return [shown(kit, endpoint) for endpoint in found]


@router.look("/v3/endpoints", "identity:list_endpoints", filters=FILTERS)
def list_endpoints(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_endpoints", caller)
    query = select(Endpoint).where(*asked_for(request, FILTERS))
    return answer(request, kit, "endpoints", query, Endpoint.id, asked, partial(all_shown, kit))


@router.look("/v3/endpoints/{endpoint_id}", "identity:get_endpoint")
def show_endpoint(endpoint_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_endpoint", caller)
    with kit.database.reading() as session:
        return Json({"endpoint": shown(kit, catalog.known_endpoint(session, endpoint_id))})


@router.make("/v3/endpoints", "identity:create_endpoint", takes=EndpointBody)
def create_endpoint(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_endpoint", caller, {})
    asked = parsed(EndpointBody, body).endpoint
    _check_url("create", asked.url)
    with kit.database.transaction() as session:
        _known_service(session, asked.service_id)
        endpoint = Endpoint(
            id=uuid4().hex,
            service_id=asked.service_id,
            region_id=_region(session, asked),
            interface=asked.interface,
            url=asked.url,
            enabled=asked.enabled,
            extra=asked.additions(),
        )
        session.add(endpoint)
    return Json({"endpoint": shown(kit, endpoint)}, 201)


@router.change("/v3/endpoints/{endpoint_id}", "identity:update_endpoint", takes=EndpointChangeBody)
def update_endpoint(endpoint_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_endpoint", caller, {})
    with kit.database.transaction() as session:
        endpoint = catalog.known_endpoint(session, endpoint_id)
        asked: ChangedEndpoint = change(EndpointChangeBody, body, "endpoint", endpoint_id)
        given = asked.given("service_id", "interface", "url", "enabled")
        if "url" in given:
            _check_url("update", asked.url)
        if "service_id" in given:
            _known_service(session, asked.service_id)
        if asked.names_region():
            endpoint.region_id = _region(session, asked)
        for name, value in given.items():
            setattr(endpoint, name, value)
        endpoint.extra = endpoint.extra | asked.additions()
    return Json({"endpoint": shown(kit, endpoint)})


@router.remove("/v3/endpoints/{endpoint_id}", "identity:delete_endpoint")
def delete_endpoint(endpoint_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:delete_endpoint", caller, {})
    with kit.database.transaction() as session:
        catalog.remove_endpoint(session, catalog.known_endpoint(session, endpoint_id))


def _check_url(verb: str, url: str) -> None:
    if not is_well_formed(url):
        raise InvalidInput(f"Cannot {verb} an endpoint with an invalid URL: {url}.")


def _known_service(session: Session, service_id: str) -> None:
    if session.get(Service, service_id) is None:
        raise expecting("endpoint service_id", "service table")


def _region(session: Session, asked: EndpointFields) -> str | None:
    """`region` makes a region that there is not; `region_id` must name one.  InvalidInput"""
    if asked.region_id is None and asked.region is not None:
        if session.get(Region, asked.region) is None:
            regions.keep(session, Region(id=asked.region, description="", extra={}))
        return asked.region
    if asked.region_id is not None and session.get(Region, asked.region_id) is None:
        raise expecting("endpoint region_id", "region table")
    return asked.region_id
