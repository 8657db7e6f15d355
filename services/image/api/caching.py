"""Keeps the cache as the database says: fetches what was asked for, and drops what is old, too much or unknown."""

from __future__ import annotations

import logging
from uuid import UUID

from common.errors import PlatformError, Unavailable
from services.image.api.kit import Kit
from services.image.core.images import WITH_BYTES, Viewer
from services.image.db.cached_images import CachedImages
from services.image.db.images import Images
from services.image.drivers.store.cache import BytesCache

log = logging.getLogger(__name__)

EVERYTHING = Viewer(None, sees_all=True)


def tend(kit: Kit) -> None:
    """One round; several processes may be at it."""
    if (cache := kit.cache) is None:
        return
    with kit.database.reading() as session:
        queued = [row.image_id for row in CachedImages(session).queued()]
    for image_id in queued:
        try:
            _fetch(kit, cache, image_id)
        except Unavailable as error:  # another time
            log.warning("image not cached yet", extra={"image_id": image_id, "why": error.message})
        except PlatformError as error:
            log.warning("image not cached", extra={"image_id": image_id, "why": error.message})
            with kit.database.transaction() as session:
                CachedImages(session).forget(image_id)
    prune(kit, cache)


def _fetch(kit: Kit, cache: BytesCache, image_id: UUID) -> None:
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, EVERYTHING)
    if image.content is None or image.status not in WITH_BYTES:
        raise PlatformError("The image has no bytes")
    cache.fill(image.id, image.content, kit.stores, image.stores)
    with kit.database.transaction() as session:
        is_wanted = CachedImages(session).arrived(image.id, image.content.size)
    if not is_wanted:
        cache.remove(image.id)


def prune(kit: Kit, cache: BytesCache) -> None:
    """What was not used for long, then the longest unused until the rest fits, then what the database does not know."""
    with kit.database.transaction() as session:
        known = CachedImages(session)
        for image_id in known.idle(kit.settings.cache_idle_s):
            known.forget(image_id)
        rows = known.cached()
        excess = sum(row.size or 0 for row in rows) - kit.settings.cache_bytes
        for row in rows:
            if excess <= 0:
                break
            known.forget(row.image_id)
            excess -= row.size or 0
    held = cache.images()  # before the database is asked: what comes meanwhile is in neither
    with kit.database.reading() as session:
        strangers = set(held) - CachedImages(session).known()
    for image_id in strangers:
        cache.remove(image_id)
