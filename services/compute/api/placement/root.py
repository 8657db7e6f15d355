"""Which versions there are: asked without a token by every client first."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from common.http.operations import operation
from services.compute.api.placement.asking import answer
from services.compute.api.placement.microversions import NEWEST, OLDEST, Asked

routes = APIRouter()


@routes.get("/")
@operation()
def show_versions(request: Request) -> Response:
    """Its link is empty: it stands for the address that was asked."""
    asked: Asked = request.state.asked
    if asked.error is not None:
        raise asked.error
    version = {
        "id": f"v1.{OLDEST}",
        "max_version": f"1.{NEWEST}",
        "min_version": f"1.{OLDEST}",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return answer({"versions": [version]}, asked.minor or 0)
