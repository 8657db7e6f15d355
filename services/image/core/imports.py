"""Imports: which ways there are, in what state an image may take them, and into which stores.

Rules and words: Image API reference, v2, "Interoperable image import".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.errors import Conflict, InvalidInput
from services.image.core.images import Image, Status

DIRECT, WEB, COPY = "glance-direct", "web-download", "copy-image"
METHODS = (DIRECT, WEB, COPY)

TASK, LEFT, FAILED = "os_glance_import_task", "os_glance_importing_to_stores", "os_glance_failed_import"
"""Properties in which an image shows how far its import is."""

# fmt: off
NEEDS: dict[str, tuple[Status, str]] = {
    DIRECT: (Status.UPLOADING, "Image needs to be staged before 'glance-direct' method can be used"),
    WEB:    (Status.QUEUED,    "Image needs to be in 'queued' state to use 'web-download' method"),
    COPY:   (Status.ACTIVE,    "Only images with status active can be targeted for copying"),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Wanted:
    """The stores that a request names."""

    stores: tuple[str, ...] = ()
    every: bool = False
    must_all_succeed: bool = True


def admit(image: Image, method: str) -> None:
    """Conflict if the image is in no state for it."""
    status, why = NEEDS[method]
    if image.status is not status:
        raise Conflict(why)
    for name in ("container_format", "disk_format"):
        if getattr(image.attributes, name) is None:
            raise Conflict(f"'{name}' needs to be set before import")
    if TASK in image.attributes.properties:
        raise Conflict("Image has active task")


def chosen_stores(wanted: Wanted, image: Image, method: str, *, known: Sequence[str], default: str) -> tuple[str, ...]:
    """Where the bytes go; none: they are everywhere already.  InvalidInput, Conflict"""
    if wanted.every and wanted.stores:
        raise InvalidInput("All_stores parameter can't be used with x-image-meta-store header or stores parameter")
    stores = tuple(known) if wanted.every else tuple(dict.fromkeys(wanted.stores or (default,)))
    for store in stores:
        must_be_known(store, known)
    if method != COPY:
        return stores
    if wanted.every:
        return tuple(store for store in stores if store not in image.stores)
    if present := [store for store in stores if store in image.stores]:
        raise InvalidInput(f"Image is already present at store '{present[0]}'")
    return stores


def must_be_known(store: str, known: Collection[str]) -> None:
    """Conflict, as clients know it, for a store that is not there."""
    if store not in known:
        raise Conflict(f"Store for identifier {store[:80]} not found")
