"""Steps that bring a server's disk into an image: copied on its host, sent from there to the image service.

The image was made when it was asked for, by whoever asked; what is done to it later is done in this service's own name.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import Forbidden, NotFound
from common.saga.saga import AskAgain, LocalStep, Run, Saga, Step
from common.saga.store import Sagas
from services.compute.contract import CopyDisk, DropCopies, UploadCopy
from services.compute.core.guests import Quiesce
from services.compute.core.states import TaskState
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import SAGAS
from services.compute.sagas.kit import Kit

log = logging.getLogger(__name__)

LONGEST_COPY_S = LONGEST_UPLOAD_S = 4 * 3600.0
WAIT_S = 2.0  # so long a host is waited for before the saga looks whether it was cancelled
CALL_S = 20.0


class OfAnImage(Protocol):
    """What the params of such a saga have."""

    server_id: UUID
    image_id: UUID
    quiesce: Quiesce


class RemoveImage(BaseModel):
    image_id: UUID


def find_image(run: Run[Any], kit: Kit) -> None:
    """NotFound if its owner deleted it already."""
    kit.images.show(run.params.image_id)


def remove_image(run: Run[Any], kit: Kit) -> None:
    """One that somebody protected meanwhile stays."""
    try:
        kit.images.remove(run.params.image_id)
    except NotFound:
        return
    except Forbidden as error:
        log.warning("image not removed", extra={"image_id": str(run.params.image_id), "why": error.message})


def copy_disk(run: Run[Any], kit: Kit) -> None:
    params = run.params
    call = CopyDisk(server_id=params.server_id, image_id=params.image_id, quiesce=params.quiesce, wait_s=WAIT_S)
    if not kit.call(call, run.results["host"], timeout_s=CALL_S):
        raise AskAgain("The disk is being copied")


def upload_copy(run: Run[Any], kit: Kit) -> None:
    params = run.params
    call = UploadCopy(server_id=params.server_id, image_id=params.image_id, wait_s=WAIT_S)
    if not kit.call(call, run.results["host"], timeout_s=CALL_S):
        raise AskAgain("The copy is on its way to the image service")


def drop_copies(run: Run[Any], kit: Kit) -> None:
    """A host that is down removes them when it compares with us."""
    host = run.results.get("host")
    if host is not None and not kit.is_down(host):
        kit.call(DropCopies(server_id=run.params.server_id), host, timeout_s=CALL_S * 2)


def shows(task: TaskState) -> Any:
    """The local step that shows this task from now on."""

    def show(run: Run[Any], kit: Kit, session: Session) -> None:
        kit.tell(run, ServerStates(session).change(run.params.server_id, kit.now(), task_state=task))

    return show


def forget_image(session: Session, image_id: UUID, kit: Kit, *, project_id: str, user_id: str) -> None:
    """Have the image removed, whatever becomes of the server: nothing of the server's waits for that."""
    Sagas(session, SAGAS).start(
        REMOVE_IMAGE,
        RemoveImage(image_id=image_id),
        resource_id=image_id,
        project_id=project_id,
        user_id=user_id,
        at=kit.now(),
    )


def let_be(run: Run[Any], kit: Kit, session: Session) -> None:
    """Nothing of ours depends on it."""


REMOVE_IMAGE = Saga(
    name="remove_image",
    params=RemoveImage,
    steps=(Step("image", remove_image, timeout_s=3600, may_be_skipped=True), LocalStep("removed", let_be)),
    failed=let_be,
    may_be_cancelled=False,
)
