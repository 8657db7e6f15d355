"""Version discovery without a token: the one version, on the root and on its own path, or the JSON home document."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from common.http.json import Json
from services.identity.api.kit import KitOf
from services.identity.api.routing import Router
from services.identity.core import home

router = Router()
RULES: dict[str, str] = {}  # anybody may ask


@router.look("/")
def list_versions(request: Request, kit: KitOf) -> Response:
    """300: several choices, of which there is one."""
    if home.is_wanted(request.headers.get("accept", "")):
        return _home(request, "/v3")
    return Json({"versions": {"values": [_version(kit.url)]}}, 300, headers={"location": f"{kit.url}/"})


@router.look("/v3")
@router.look("/v3/")
def show_version(request: Request, kit: KitOf) -> Response:
    if home.is_wanted(request.headers.get("accept", "")):
        return _home(request, "")
    return Json({"version": _version(kit.url)})


def _home(request: Request, prefix: str) -> Response:
    """Of all that this process answers."""
    paths = [path.removeprefix("/v3") for path in request.app.state.paths if path.startswith("/v3/") and path != "/v3/"]
    return Json(home.document(paths, prefix), headers={"content-type": home.MEDIA_TYPE})


def _version(url: str) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{url}/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
