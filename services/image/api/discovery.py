"""What clients ask before they act: schemas, ways to import, stores."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from common.errors import NotFound
from common.http.identity import Caller, authenticated
from common.http.json import Json
from common.http.operations import operation
from services.image.api.schemas.images import IMAGE_SCHEMA, IMAGES_SCHEMA

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at


@router.get("/v2/schemas/image")
@operation()
def image_schema(caller: Caller) -> Response:
    return Json(IMAGE_SCHEMA)


@router.get("/v2/schemas/images")
@operation()
def images_schema(caller: Caller) -> Response:
    return Json(IMAGES_SCHEMA)


@router.get("/v2/info/import")
@operation()
def import_methods(caller: Caller) -> Response:
    """None yet: bytes come by upload."""
    methods = {"description": "Import methods available.", "type": "array", "value": []}
    return Json({"import-methods": methods})


@router.get("/v2/info/stores")
@operation()
def stores(caller: Caller) -> Response:
    """One unnamed store is no choice of stores; clients know this answer."""
    raise NotFound("Multi backend is not supported at this site.")
