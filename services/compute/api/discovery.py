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
    return Json({"versions": [_old(kit.url), _version(kit.url)]})


@routes.get("/v2")
@routes.get("/v2/")
@operation()
def show_old_version(request: Request, kit: KitOf) -> Response:
    """For clients from before microversions: below /v2 everything is as in 2.1, whatever their headers say."""
    request.state.asked = None
    return Json({"version": _whole(_old(kit.url), "2")})


@routes.get("/v2.1")
@routes.get("/v2.1/")
@operation()
def show_version(request: Request, kit: KitOf) -> Response:
    request.state.asked = None
    return Json({"version": _whole(_version(kit.url), "2.1")})


def _whole(version: dict[str, Any], number: str) -> dict[str, Any]:
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    media = {"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={number}"}
    return version | {"links": [*version["links"], described], "media-types": [media]}


def _old(url: str) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{url}/v2/"}],
    }


def _version(url: str) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": f"2.{NEWEST}",
        "min_version": f"2.{OLDEST}",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{url}/v2.1/"}],
    }
