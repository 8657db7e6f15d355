"""What clients ask before they act: ways to import, stores, and how much of its quota the project uses."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from common.errors import NotFound
from common.http.identity import Caller, authenticated
from common.http.json import Json
from common.http.operations import operation

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at


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
