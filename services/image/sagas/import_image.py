"""Import an image: bytes into the staging area, a look into them, then into each store.  A copy only does the last.

What happens to the bytes in between stands in `prepare_image`.

Whatever goes wrong, the image waits for bytes again (a copied one stays as it was), nothing is left in staging area or
stores, and the task says why.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import PlatformError
from common.saga.saga import LocalStep, Run, Saga, Step
from services.image.contract import ImageActivated, ImageChanged, ImageRefused
from services.image.core.images import Content, Gone, Image, Staged
from services.image.core.imports import COPY, FAILED, LEFT, TASK, WEB
from services.image.core.tasks import TaskStatus
from services.image.db.images import Images
from services.image.db.places import Places
from services.image.db.tasks import Tasks
from services.image.db.uploads import Uploads
from services.image.drivers.store.fetching import fetched
from services.image.drivers.store.store import Store
from services.image.drivers.store.stores import SPOOL
from services.image.sagas.kit import Kit
from services.image.sagas.prepare_image import EVERYTHING, convert, image_of, inspect, ready_path, tell, verify

CLAIM_STEP_BYTES = 64 << 20
CLAIM_EVERY_S = 5.0
HOUR_S = 3600


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
    tell(run, kit, "Downloading the image")
    spool = kit.stores.spool
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
        Uploads(session).claim(
            upload_id,
            size,
            quota=settings.project_quota_bytes,
            staging_room=settings.staging_bytes,
            staged=settings.project_quota_staged_bytes,
        )


def forget_bytes(run: Run[ImportImage], kit: Kit) -> None:
    kit.stores.spool.discard(run.id)
    if not run.params.is_copy:
        kit.stores.spool.unstage(run.params.image_id)


def keep(run: Run[ImportImage], kit: Kit) -> dict[str, Sequence[str]]:
    """The stores that took it, and those that failed if not all must succeed.  StoreFailed"""
    asked = run.params
    kept: list[str] = []
    failed: list[str] = []
    for name in sorted(asked.stores, key=lambda one: one == SPOOL):  # this one takes the file itself
        tell(run, kit, f"Storing the image in {name}")
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
    kit.stores.spool.discard(run.id)  # what was brought from afar to be copied
    if not kept:
        raise StoreFailed("No store took the image")
    return {"kept": sorted(kept), "failed": failed}


def _keep_in(store: Store, run: Run[ImportImage], kit: Kit) -> None:
    image_id = run.params.image_id
    if store.holds(image_id):
        return  # done before a worker died
    source, may_go = _source(run, kit)
    is_given = may_go and store is kit.stores.spool
    try:
        store.bring(source, image_id, run.id, given=is_given, heard=lambda: None)()
    except BaseException:
        store.discard(run.id)
        raise


def _source(run: Run[ImportImage], kit: Kit) -> tuple[Path, bool]:
    """A file with the bytes, and whether it is there for this import alone.  StoreFailed"""
    if not run.params.is_copy:
        return ready_path(run, kit), True
    image = image_of(run, kit)
    held = [name for name in kit.stores.nearest(image.stores) if name not in run.params.stores]
    if (path := kit.stores.local(image.id, held)) is not None:
        return path, False
    return _fetched(run.id, image, [kit.stores[name] for name in held], kit), True


def _fetched(saga_id: UUID, image: Image, held: Sequence[Store], kit: Kit) -> Path:
    """Bytes that are only elsewhere, brought here and checked."""
    content = image.content
    found = next((one for one in held if one.holds(image.id)), None)
    if content is None or found is None:
        raise StoreFailed("The image's bytes are not in the store")
    return fetched(found, image.id, content, kit.stores.spool, saga_id)


def give_back(run: Run[ImportImage], kit: Kit) -> None:
    with kit.database.reading() as session:
        held = Places(session).of(run.params.image_id)  # by somebody else: this worker was given up long ago
    for name in run.params.stores:
        kit.stores[name].discard(run.id)
        if name not in held:
            kit.stores.remove_from(name, run.params.image_id)
    kit.stores.spool.discard(run.id)


def finish(run: Run[ImportImage], kit: Kit, session: Session) -> None:
    asked, outcome = run.params, run.results["keep"]
    image_id = asked.image_id
    if asked.is_copy:
        Places(session).add(image_id, outcome["kept"])
        run.then(lambda: kit.bus.tell(ImageChanged(image_id=image_id, project_id=run.project_id)))
    else:
        size = _activate(run, outcome["kept"], session)
        run.then(lambda: forget_bytes(run, kit))
        run.then(lambda: kit.bus.tell(ImageActivated(image_id=image_id, project_id=run.project_id, size=size)))
    Images(session).note(image_id, {TASK: None, LEFT: "", FAILED: ",".join(outcome["failed"])})
    Tasks(session).put(asked.task_id, TaskStatus.SUCCESS)


def _activate(run: Run[ImportImage], stores: Sequence[str], session: Session) -> int:
    uploads, image_id, became = Uploads(session), run.params.image_id, run.results.get("convert")
    if (staged := uploads.staged(image_id)) is None:
        return _size_of_active(image_id, session)
    content = Content(size=staged.size, virtual_size=run.results["inspect"], md5=staged.md5, sha512=staged.sha512)
    if became is not None:
        content = Content(**{name: became[name] for name in ("size", "virtual_size", "md5", "sha512")})
        Images(session).reformat(image_id, became["disk_format"])
    uploads.finish_import(image_id, content, stores)
    return content.size


def _size_of_active(image_id: UUID, session: Session) -> int:
    """Of an image that this import has made active before.  Gone, NotFound"""
    image = Images(session).seen(image_id, EVERYTHING)
    if image.content is None:
        raise Gone("The image was deleted while it was imported")
    return image.content.size


def fail(run: Run[ImportImage], kit: Kit, session: Session) -> None:
    """The image is what it was before; the task says why."""
    asked, why = run.params, run.error or "The import failed"
    if not asked.is_copy:
        Uploads(session).give_up_import(asked.image_id)
        run.then(lambda: forget_bytes(run, kit))
    Images(session).note(asked.image_id, {TASK: None, LEFT: "", FAILED: ",".join(asked.stores)})
    Tasks(session).put(asked.task_id, TaskStatus.FAILURE, why)
    refused = ImageRefused(image_id=asked.image_id, project_id=run.project_id, reason=why)
    run.then(lambda: kit.bus.tell(refused))


IMPORT_IMAGE = Saga(
    name="import_image",
    params=ImportImage,
    steps=(
        LocalStep("begin", begin),
        Step("fetch", fetch, undo=forget_bytes, timeout_s=6 * HOUR_S),
        Step("verify", verify, timeout_s=HOUR_S),
        Step("inspect", inspect, timeout_s=300),
        Step("convert", convert, timeout_s=6 * HOUR_S),  # what it leaves, `forget_bytes` takes away
        Step("keep", keep, undo=give_back, timeout_s=2 * HOUR_S),
        LocalStep("finish", finish),
    ),
    failed=fail,
)

SAGAS = {IMPORT_IMAGE.name: IMPORT_IMAGE}
