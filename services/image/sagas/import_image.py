"""Import an image: bytes into the staging area, a look into them, then into each store.  A copy only does the last.

Whatever goes wrong, the image waits for bytes again (a copied one stays as it was), nothing is left in staging area or
stores, and the task says why.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import PlatformError
from common.saga.saga import LocalStep, Run, Saga, Step
from services.image.contract import ImageActivated, ImageChanged, ImageRefused
from services.image.core.formats import judged
from services.image.core.images import Content, Gone, Image, Staged, Viewer
from services.image.core.imports import COPY, FAILED, LEFT, TASK, WEB
from services.image.core.tasks import TaskStatus
from services.image.db.images import Images
from services.image.db.places import Places
from services.image.db.tasks import Tasks
from services.image.db.uploads import Uploads
from services.image.drivers.store.files import FileStore
from services.image.sagas.kit import Kit

CLAIM_STEP_BYTES = 64 << 20
CLAIM_EVERY_S = 5.0
HOUR_S = 3600
EVERYTHING = Viewer(None, sees_all=True)


class ImportImage(BaseModel):
    image_id: UUID
    task_id: UUID
    method: str
    stores: tuple[str, ...]
    must_all_succeed: bool = True
    uri: str | None = None

    @property
    def is_copy(self) -> bool:
        return self.method == COPY


class StoreFailed(PlatformError):
    """A store did not take the image."""

    code = "store.failed"


def begin(run: Run[ImportImage], kit: Kit, session: Session) -> None:
    Tasks(session).put(run.params.task_id, TaskStatus.PROCESSING)


def fetch(run: Run[ImportImage], kit: Kit) -> None:
    """Bring what the web has into the staging area; staged bytes are there already."""
    if run.params.method != WEB or run.params.uri is None:
        return
    with kit.database.reading() as session:
        if Uploads(session).staged(run.params.image_id) is not None:
            return
    spool = kit.stores.default
    spool.discard(run.id)
    arrival = spool.arrival(run.id)
    try:
        claimed, at = 0, time.monotonic()
        for piece in kit.downloads.pieces(run.params.uri):
            arrival.write(piece)
            arrival.add_md5(piece)
            if arrival.size > claimed or time.monotonic() > at + CLAIM_EVERY_S:
                claimed, at = arrival.size + CLAIM_STEP_BYTES, time.monotonic()
                _claim(kit, run.id, arrival.size)
        arrival.sync()
    finally:
        arrival.close()
    _claim(kit, run.id, arrival.size)
    md5, sha512 = arrival.hashes()
    with kit.database.transaction() as session:
        Uploads(session).stage(run.id, Staged(size=arrival.size, md5=md5, sha512=sha512))
        spool.stage(arrival.path, run.params.image_id)


def _claim(kit: Kit, upload_id: UUID, size: int) -> None:
    """TooLarge beyond quota or staging area; Gone if the image was deleted meanwhile"""
    settings = kit.settings
    with kit.database.transaction() as session:
        Uploads(session).claim(upload_id, size, quota=settings.project_quota_bytes, staging_room=settings.staging_bytes)


def forget_bytes(run: Run[ImportImage], kit: Kit) -> None:
    kit.stores.default.discard(run.id)
    if not run.params.is_copy:
        kit.stores.default.unstage(run.params.image_id)


def inspect(run: Run[ImportImage], kit: Kit) -> int | None:
    """The virtual size of what may be kept.  Unsupported with the reason otherwise"""
    if run.params.is_copy:
        return None
    attributes = _image(run, kit).attributes
    finding = kit.inspector.inspect(kit.stores.default.staged_path(run.params.image_id))
    return judged(finding, disk_format=attributes.disk_format, container_format=attributes.container_format)


def keep(run: Run[ImportImage], kit: Kit) -> dict[str, Sequence[str]]:
    """The stores that took it, and those that failed if not all must succeed.  StoreFailed"""
    asked = run.params
    kept: list[str] = []
    failed: list[str] = []
    for name in sorted(
        asked.stores, key=lambda one: one == kit.stores.default_id
    ):  # the default one takes the file itself
        try:
            _keep_in(kit.stores[name], run, kit)
            kept.append(name)
        except PlatformError as error:
            if asked.must_all_succeed:
                raise StoreFailed(f"Store {name} did not take the image: {error.message}") from error
            failed.append(name)
        left = [one for one in asked.stores if one not in (*kept, *failed)]
        with kit.database.transaction() as session:
            Images(session).note(asked.image_id, {LEFT: ",".join(left), FAILED: ",".join(failed)})
    if not kept:
        raise StoreFailed("No store took the image")
    return {"kept": sorted(kept), "failed": failed}


def _keep_in(store: FileStore, run: Run[ImportImage], kit: Kit) -> None:
    image_id, is_spool = run.params.image_id, store is kit.stores.default
    if store.holds(image_id):
        return  # done before a worker died
    source = _source(run, kit)
    path = source if is_spool and not run.params.is_copy else store.copied(source, run.id)
    store.keep(path, image_id)


def _source(run: Run[ImportImage], kit: Kit) -> Path:
    if not run.params.is_copy:
        return kit.stores.default.staged_path(run.params.image_id)
    held = [kit.stores[name] for name in _image(run, kit).stores if name not in run.params.stores]
    found = next((one for one in held if one.holds(run.params.image_id)), None)
    if found is None:
        raise StoreFailed("The image's bytes are not in the store")
    return found.path(run.params.image_id)


def give_back(run: Run[ImportImage], kit: Kit) -> None:
    for name in run.params.stores:
        kit.stores[name].discard(run.id)
        kit.stores[name].remove(run.params.image_id)


def finish(run: Run[ImportImage], kit: Kit, session: Session) -> None:
    asked, outcome = run.params, run.results["keep"]
    image_id = asked.image_id
    if asked.is_copy:
        Places(session).add(image_id, outcome["kept"])
        run.then(lambda: kit.bus.tell(ImageChanged(image_id=image_id, project_id=run.project_id)))
    else:
        size = _activate(image_id, run.results["inspect"], outcome["kept"], session)
        run.then(lambda: kit.stores.default.unstage(image_id))
        run.then(lambda: kit.bus.tell(ImageActivated(image_id=image_id, project_id=run.project_id, size=size)))
    Images(session).note(image_id, {TASK: None, LEFT: "", FAILED: ",".join(outcome["failed"])})
    Tasks(session).put(asked.task_id, TaskStatus.SUCCESS)


def _activate(image_id: UUID, virtual_size: int, stores: Sequence[str], session: Session) -> int:
    uploads = Uploads(session)
    if (staged := uploads.staged(image_id)) is None:
        raise Gone("The image was deleted while it was imported")
    content = Content(size=staged.size, virtual_size=virtual_size, md5=staged.md5, sha512=staged.sha512)
    uploads.finish_import(image_id, content, stores)
    return staged.size


def fail(run: Run[ImportImage], kit: Kit, session: Session) -> None:
    """The image is what it was before; the task says why."""
    asked, why = run.params, run.error or "The import failed"
    if not asked.is_copy:
        Uploads(session).give_up_import(asked.image_id)
    Images(session).note(asked.image_id, {TASK: None, LEFT: "", FAILED: ",".join(asked.stores)})
    Tasks(session).put(asked.task_id, TaskStatus.FAILURE, why)
    refused = ImageRefused(image_id=asked.image_id, project_id=run.project_id, reason=why)
    run.then(lambda: kit.bus.tell(refused))


def _image(run: Run[Any], kit: Kit) -> Image:
    """NotFound if it was deleted meanwhile"""
    with kit.database.reading() as session:
        return Images(session).seen(run.params.image_id, EVERYTHING)


IMPORT_IMAGE = Saga(
    name="import_image",
    params=ImportImage,
    steps=(
        LocalStep("begin", begin),
        Step("fetch", fetch, undo=forget_bytes, timeout_s=6 * HOUR_S),
        Step("inspect", inspect, timeout_s=300),
        Step("keep", keep, undo=give_back, timeout_s=2 * HOUR_S),
        LocalStep("finish", finish),
    ),
    failed=fail,
)

SAGAS = {IMPORT_IMAGE.name: IMPORT_IMAGE}
