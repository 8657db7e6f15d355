"""Make an image of a server; as a backup, along with which the oldest ones of its kind go."""

from __future__ import annotations

import logging
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import Forbidden, NotFound
from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.core.guests import Quiesce
from services.compute.core.states import TaskState
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.disk_copies import (
    LONGEST_COPY_S,
    LONGEST_UPLOAD_S,
    copy_disk,
    drop_copies,
    find_image,
    remove_image,
    shows,
    upload_copy,
)
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, stay

log = logging.getLogger(__name__)

MOST_AT_ONCE = "1000"  # of older backups that one rotation looks at


class SnapshotServer(BaseModel):
    server_id: UUID
    image_id: UUID
    quiesce: Quiesce = Quiesce.NO


class BackupServer(SnapshotServer):
    backup_type: str
    rotation: int  # so many of this type are kept


def show_copying(run: Run[SnapshotServer], kit: Kit, session: Session) -> str:
    """Where the guest is."""
    host = find_host(run, kit, session)
    shows(TaskState.COPYING)(run, kit, session)
    return host


def rotate(run: Run[BackupServer], kit: Kit) -> int:
    """How many older ones went.  Only the project's own count: anybody may write a server's id into an image."""
    params = run.params
    backups = kit.images.find(
        owner=run.project_id or "",
        image_type="backup",
        backup_type=params.backup_type,
        instance_uuid=str(params.server_id),
        sort="created_at:desc",
        limit=MOST_AT_ONCE,
    )
    excess = backups[params.rotation :]
    for image in excess:
        try:
            kit.images.remove(image.id)
        except (NotFound, Forbidden) as error:
            log.info("backup not rotated", extra={"image_id": str(image.id), "why": error.message})
    return len(excess)


def _begin(first: Step) -> tuple[Step | LocalStep, ...]:
    return (
        first,
        LocalStep("host", show_copying),
        Step("copy", copy_disk, undo=drop_copies, timeout_s=LONGEST_COPY_S),
        LocalStep("copied", shows(TaskState.UPLOADING)),
        Step("upload", upload_copy, timeout_s=LONGEST_UPLOAD_S),
    )


SNAPSHOT_SERVER = Saga(
    name="snapshot_server",
    params=SnapshotServer,
    steps=(*_begin(Step("image", find_image, undo=remove_image)), LocalStep("done", stay)),
    failed=stay,
    host_of=host_of,
    action="createImage",
)

BACKUP_SERVER = Saga(
    name="backup_server",
    params=BackupServer,
    steps=(
        *_begin(Step("image", find_image, undo=remove_image)),
        Step("rotate", rotate, timeout_s=300, may_be_skipped=True),
        LocalStep("done", stay),
    ),
    failed=stay,
    host_of=host_of,
    action="createBackup",
)
