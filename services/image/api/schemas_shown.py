"""The JSON schemas of everything that this API answers: clients build their models from them."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from common.errors import NotFound
from common.http.identity import Caller, authenticated
from common.http.json import Json
from common.http.operations import operation
from services.image.api.faults import NO_SUCH_PATH
from services.image.api.schemas.documents import DOCUMENTS

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at


@router.get("/v2/schemas/{name}")
@operation()
def show_schema(name: str, caller: Caller) -> Response:
    return _document(name)


@router.get("/v2/schemas/metadefs/{name}")
@operation()
def show_metadata_schema(name: str, caller: Caller) -> Response:
    return _document(f"metadefs/{name}")


def _document(path: str) -> Response:
    if (found := DOCUMENTS.get(path)) is None:
        raise NotFound(NO_SUCH_PATH)
    return Json(found)
