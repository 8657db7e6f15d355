"""The cache, for administrators: what is in it, what shall be, and clearing it.  Image API 2.14 and 2.16."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from common.errors import InvalidInput, NotFound
from common.http.identity import Caller, authenticated
from common.http.json import Json
from common.http.operations import operation
from services.image.api.kit import ImageId, Kit, KitOf
from services.image.core.images import Status
from services.image.db.cached_images import CachedImages
from services.image.db.images import Images
from services.image.drivers.store.cache import BytesCache

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

TARGETS = ("cache", "queue", "")
Target = Annotated[str, Header(alias="x-image-cache-clear-target")]


def _cache(kit: Kit) -> BytesCache:
    """NotFound at a site without one"""
    if kit.cache is None:
        raise NotFound("Caching via API is not supported at this site.")
    return kit.cache


@router.get("/v2/cache")
@operation("cache_list")
def show_cache(caller: Caller, kit: KitOf) -> Response:
    """Cached images, longest unused first, with times in seconds of Unix; and the ids of those that wait."""
    kit.policy.must("cache_list", caller)
    _cache(kit)
    with kit.database.reading() as session:
        cached, queued = CachedImages(session).cached(), CachedImages(session).queued()
        return Json(
            {
                "cached_images": [
                    {
                        "image_id": str(row.image_id),
                        "hits": row.hits,
                        "last_accessed": row.used_at.timestamp(),
                        "last_modified": (row.cached_at or row.asked_at).timestamp(),
                        "size": row.size,
                    }
                    for row in cached
                ],
                "queued_images": [str(row.image_id) for row in queued],
            }
        )


@router.put("/v2/cache/{image_id}", status_code=202)
@operation("cache_image")
def queue_image(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """Have the image fetched soon.  Twice is once"""
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("cache_image", caller, image)
        _cache(kit)
        if image.status is not Status.ACTIVE:
            raise InvalidInput(f"Only images with status active can be targeted for queueing, not '{image.status}'")
        CachedImages(session).want(image.id)
    kit.cache_nudge()
    return Response(status_code=202)


@router.delete("/v2/cache/{image_id}", status_code=204)
@operation("cache_delete")
def drop_image(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """From the cache, or from the queue."""
    with kit.database.transaction() as session:
        image = Images(session).locked(image_id, kit.viewer(caller))
        kit.must("cache_delete", caller, image)
        cache = _cache(kit)
        was_known = CachedImages(session).forget(image.id)
    cache.remove(image_id)
    if not was_known:
        raise NotFound(f"Image {image_id} is neither cached nor queued for caching.")
    return Response(status_code=204)


@router.delete("/v2/cache", status_code=204)
@operation("cache_delete")
def clear_cache(caller: Caller, kit: KitOf, target: Target = "") -> Response:
    """Both cache and queue, unless a header names one of them."""
    kit.policy.must("cache_delete", caller)
    cache = _cache(kit)
    if target not in TARGETS:
        raise InvalidInput("If provided x-image-cache-clear-target must be 'cache', 'queue' or empty string.")
    with kit.database.transaction() as session:
        known = CachedImages(session)
        gone: list[UUID] = [row.image_id for row in known.cached()] if target != "queue" else []
        known.clear(cached=target != "queue", queued=target != "cache")
    for image_id in gone:
        cache.remove(image_id)
    return Response(status_code=204)
