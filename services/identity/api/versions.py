"""Version discovery: the one version, on the root and on its own path, without a token."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.http.json import Json
from services.identity.api.kit import KitOf
from services.identity.api.routing import Router

router = Router()
RULES: dict[str, str] = {}  # anybody may ask


@router.look("/")
def list_versions(kit: KitOf) -> Response:
    """300: several choices, of which there is one."""
    return Json({"versions": {"values": [_version(kit.url)]}}, 300, headers={"location": f"{kit.url}/"})


@router.look("/v3")
@router.look("/v3/")
def show_version(kit: KitOf) -> Response:
    return Json({"version": _version(kit.url)})


def _version(url: str) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{url}/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
