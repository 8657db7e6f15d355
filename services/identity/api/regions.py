"""Regions.  Identity API v3, "Regions"."""

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
from services.identity.api.schemas.catalog import NewRegion, RegionBody, RegionChangeBody, RegionFields
from services.identity.db import catalog, regions
from services.identity.db.tables import Region

router = Router()

# fmt: off
RULES = {
    "identity:get_region":     "rule:everybody",
    "identity:list_regions":   "rule:everybody",
    "identity:create_region":  "rule:admin",
    "identity:update_region":  "rule:admin",
    "identity:delete_region":  "rule:admin",
}
# fmt: on

FILTERS = {"parent_region_id": Region.parent_region_id}


def shown(kit: Kit, region: Region) -> dict[str, Any]:
    return {
        **region.extra,
        "id": region.id,
        "description": region.description,
        "parent_region_id": region.parent_region_id,
        "links": {"self": f"{kit.url}/regions/{region.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[Region]) -> list[dict[str, Any]]:
    return [shown(kit, region) for region in found]


@router.look("/v3/regions", "identity:list_regions", filters=FILTERS)
def list_regions(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_regions", caller)
    query = select(Region).where(*asked_for(request, FILTERS))
    return answer(request, kit, "regions", query, Region.id, asked, partial(all_shown, kit))


@router.look("/v3/regions/{region_id}", "identity:get_region")
def show_region(region_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_region", caller)
    with kit.database.reading() as session:
        return Json({"region": shown(kit, catalog.known_region(session, region_id))})


@router.make("/v3/regions", "identity:create_region", takes=RegionBody)
def create_region(body: Body, caller: Caller, kit: KitOf) -> Response:
    """The client may choose the id."""
    kit.policy.must("identity:create_region", caller, {})
    asked = parsed(RegionBody, body).region
    return Json({"region": _made(kit, asked.id or uuid4().hex, asked)}, 201)


@router.assign("/v3/regions/{region_id}", "identity:create_region", takes=RegionBody, status=201)
def create_region_with_id(region_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_region", caller, {})
    asked = parsed(RegionBody, body).region
    if asked.id not in (None, region_id):
        raise InvalidInput(f'Conflicting region IDs specified: "{region_id}" != "{asked.id}"')
    return Json({"region": _made(kit, region_id, asked)}, 201)


@router.change("/v3/regions/{region_id}", "identity:update_region", takes=RegionChangeBody)
def update_region(region_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_region", caller, {})
    with kit.database.transaction() as session:
        region = catalog.known_region(session, region_id)
        asked: RegionFields = change(RegionChangeBody, body, "region", region_id)
        if "description" in asked.model_fields_set:
            region.description = asked.description or ""
        if "parent_region_id" in asked.model_fields_set:
            region.parent_region_id = asked.parent_region_id
        region.extra = region.extra | asked.additions()
        regions.keep(session, region)
    return Json({"region": shown(kit, region)})


@router.remove("/v3/regions/{region_id}", "identity:delete_region")
def delete_region(region_id: str, caller: Caller, kit: KitOf) -> None:
    """With the regions in it."""
    kit.policy.must("identity:delete_region", caller, {})
    with kit.database.transaction() as session:
        regions.remove(session, catalog.known_region(session, region_id))


def _made(kit: Kit, region_id: str, asked: NewRegion) -> dict[str, Any]:
    region = Region(
        id=region_id,
        description=asked.description or "",
        parent_region_id=asked.parent_region_id,
        extra=asked.additions(),
    )
    with kit.database.transaction() as session:
        regions.keep(session, region)
    return shown(kit, region)
