"""Steps of an import between the bytes' arrival and their stores: verified, looked into, converted."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import PlatformError, TooLarge
from common.saga.saga import Run
from services.image.core.conversion import QEMU_NAMES, wants_conversion
from services.image.core.formats import judged
from services.image.core.images import Image, Viewer
from services.image.core.signatures import signature_of
from services.image.db.images import Images
from services.image.db.tasks import Tasks
from services.image.db.uploads import Uploads
from services.image.sagas.kit import Kit

if TYPE_CHECKING:
    from services.image.sagas.import_image import ImportImage

EVERYTHING = Viewer(None, sees_all=True)
PIECE_BYTES = 1 << 20


def image_of(run: Run[Any], kit: Kit) -> Image:
    """NotFound if it was deleted meanwhile"""
    with kit.database.reading() as session:
        return Images(session).seen(run.params.image_id, EVERYTHING)


def tell(run: Run[ImportImage], kit: Kit, doing: str) -> None:
    """What the task says that it is at; never a reason to fail."""
    with suppress(PlatformError), kit.database.transaction() as session:
        Tasks(session).note(run.params.task_id, doing)


def verify(run: Run[ImportImage], kit: Kit) -> None:
    """BadSignature unless an image that says it is signed is, where this site looks at that."""
    if run.params.is_copy or kit.certificates is None:
        return
    signature = signature_of(image_of(run, kit).attributes.properties)
    if signature is None:
        return
    tell(run, kit, "Verifying the image's signature")
    check = kit.certificates.check(signature)
    check.read(_staged(run, kit))
    check.verify()


def inspect(run: Run[ImportImage], kit: Kit) -> int | None:
    """The virtual size of what may be kept.  Unsupported with the reason otherwise"""
    if run.params.is_copy:
        return None
    tell(run, kit, "Looking into the image")
    attributes = image_of(run, kit).attributes
    finding = kit.inspector.inspect(_staged(run, kit), attributes.container_format)
    return judged(finding, disk_format=attributes.disk_format, container_format=attributes.container_format)


def convert(run: Run[ImportImage], kit: Kit) -> dict[str, Any] | None:
    """Size, hashes and format of what it became; None if the image stays as it is.  TooLarge, ConversionFailed

    Once more, it begins anew: what came stays in the staging area until the end.
    """
    target = kit.settings.convert_imports_to
    if run.params.is_copy or not wants_conversion(attributes := image_of(run, kit).attributes, target):
        return None
    if target == "raw" and run.results["inspect"] > kit.settings.max_image_bytes:
        raise TooLarge(
            f"An image may have {kit.settings.max_image_bytes} bytes at most, and would have more when converted"
        )
    path = _fresh(run, kit)
    doing = f"Converting the image from {attributes.disk_format} to {target}"
    tick = partial(_tick, run, kit, path, doing)
    kit.converter.convert(_staged(run, kit), QEMU_NAMES[attributes.disk_format or ""], path, target, tick)
    _claim(run, kit, path.stat().st_size)
    finding = kit.inspector.inspect(path) if target != "raw" else None
    virtual_size = (
        path.stat().st_size if finding is None else judged(finding, disk_format=target, container_format="bare")
    )
    md5, sha512 = _hashes(path)
    return {
        "size": path.stat().st_size,
        "virtual_size": virtual_size,
        "md5": md5,
        "sha512": sha512,
        "disk_format": target,
    }


def ready_path(run: Run[ImportImage], kit: Kit) -> Path:
    """The file that goes into the stores."""
    return converted_path(run, kit) if run.results.get("convert") else _staged(run, kit)


def converted_path(run: Run[ImportImage], kit: Kit) -> Path:
    """Named after the saga, so that it is swept once that is over."""
    return kit.stores.spool.arrival_path(run.id)


def _staged(run: Run[ImportImage], kit: Kit) -> Path:
    """Unavailable while the whole staging area is away"""
    kit.stores.spool.probe()
    return kit.stores.spool.staged_path(run.params.image_id)


def _fresh(run: Run[ImportImage], kit: Kit) -> Path:
    spool = kit.stores.spool
    spool.discard(run.id)
    spool.arrival(run.id).close()
    return converted_path(run, kit)


def _tick(run: Run[ImportImage], kit: Kit, path: Path, doing: str, percent: int) -> None:
    _claim(run, kit, path.stat().st_size)
    tell(run, kit, f"{doing}: {percent} %")


def _claim(run: Run[ImportImage], kit: Kit, size: int) -> None:
    """TooLarge beyond the quota; Gone if the image was deleted meanwhile"""
    with kit.database.transaction() as session:
        Uploads(session).claim_import(run.params.image_id, size, quota=kit.settings.project_quota_bytes)


def _hashes(path: Path) -> tuple[str, str]:
    """md5 and sha512."""
    md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            md5.update(piece)
            sha512.update(piece)
    return md5.hexdigest(), sha512.hexdigest()
