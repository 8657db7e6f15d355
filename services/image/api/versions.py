"""Which versions of the API there are.

Clients use what is announced, so two are left out at sites without the cache that they are about: 2.14 and 2.16.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from common.http.json import Json
from common.http.operations import operation
from services.image.api.kit import Kit, KitOf

MINORS = tuple(range(17, -1, -1))
CACHE_MINORS = (14, 16)

router = APIRouter()


@router.get("/")
@operation()
def offer_versions(kit: KitOf) -> Response:
    """300: there is a choice."""
    return Json(_versions(kit), 300)


@router.get("/versions")
@router.get("/versions/")
@router.get("/v2")
@router.get("/v2/")
@operation()
def list_versions(kit: KitOf) -> Response:
    return Json(_versions(kit))


def _versions(kit: Kit) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{kit.public_url}/v2/"}]
    return {
        "versions": [
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == MINORS[0] else "SUPPORTED", "links": links}
            for minor in MINORS
            if kit.cache is not None or minor not in CACHE_MINORS
        ]
    }
