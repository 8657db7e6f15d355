"""Which versions there are: asked without a token by every client first."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from common.http.json import Json
from common.http.operations import operation
from services.compute.api.kit import KitOf
from services.compute.api.microversions import NEWEST, OLDEST

routes = APIRouter()
UPDATED = "2013-07-23T11:33:21Z"  # when version 2.1 was defined


@routes.get("/")
@operation()
def list_versions(request: Request, kit: KitOf) -> Response:
    request.state.asked = None
    return Json({"versions": [_version(kit.url)]})


@routes.get("/v2.1")
@routes.get("/v2.1/")
@operation()
def show_version(request: Request, kit: KitOf) -> Response:
    request.state.asked = None
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    media = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    version = _version(kit.url)
    return Json({"version": version | {"links": [*version["links"], described], "media-types": [media]}})


def _version(url: str) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": f"2.{NEWEST}",
        "min_version": f"2.{OLDEST}",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{url}/v2.1/"}],
    }
