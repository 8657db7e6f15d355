"""Which versions of the API there are.

The newest minor named is the last one whose features all exist here: hidden images and secure hashes (2.7).  Later ones
bring several stores, the cache and location calls, which clients would use if they were announced.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from common.http.json import Json
from common.http.operations import operation
from services.image.api.kit import Kit, KitOf

NEWEST_MINOR = 7

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
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == NEWEST_MINOR else "SUPPORTED", "links": links}
            for minor in range(NEWEST_MINOR, -1, -1)
        ]
    }
