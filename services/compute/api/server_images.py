"""Images of servers: as a snapshot, or as a backup that takes turns with earlier ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from fastapi import Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.errors import NotFound, OverQuota, PlatformError, TooLarge, Unavailable
from common.http.json import Json
from common.http.operations import action
from services.compute.api.acting import ACTIONS, begin
from services.compute.api.asking import empty
from services.compute.api.kit import Kit, Tx, owner, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import CreateBackup, CreateImage
from services.compute.core.snapshots import image_of, quiesce_of
from services.compute.core.states import Action, Rule, admit
from services.compute.db.servers import STATE, Server
from services.compute.sagas import BACKUP_SERVER, REMOVE_IMAGE, SNAPSHOT_SERVER, RemoveImage

METADATA_COUNTED_UNTIL = 38
ID_IN_BODY_SINCE = 45
KEPT_WITHIN = timedelta(minutes=10)  # far longer than any request takes
CREATE, BACKUP = "os_compute_api:servers:create_image", "os_compute_api:os-create-backup"


@action(ACTIONS, "createImage", CREATE, takes=CreateImage)
def create_image(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """The image is there, without bytes, when this answers.  A locked server can be imaged, as in Nova."""
    asked = read(CreateImage, options, version)
    with kit.reading() as tx:
        server, _ = _admitted(tx, Action.CREATE_IMAGE, CREATE, server_id, caller, kit)
        _must_be_few(asked.metadata, server, tx, version)
    with new_image(server, asked.name, "snapshot", asked.metadata, caller, kit) as image, kit.transaction() as tx:
        server, rule = _admitted(tx, Action.CREATE_IMAGE, CREATE, server_id, caller, kit, lock=True)
        quiesce = quiesce_of(_properties(server))
        begin(tx, SNAPSHOT_SERVER, server, caller, rule, image_id=image.kept(tx), quiesce=quiesce)
    return _answer(image.id, kit, version)


@action(ACTIONS, "createBackup", BACKUP, takes=CreateBackup)
def create_backup(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """With a rotation of 0 nothing is kept, this backup included."""
    asked = read(CreateBackup, options, version)
    with kit.reading() as tx:
        server, _ = _admitted(tx, Action.CREATE_BACKUP, BACKUP, server_id, caller, kit)
        _must_be_few(asked.metadata, server, tx, version)
    metadata = asked.metadata | {"backup_type": asked.backup_type}
    with new_image(server, asked.name, "backup", metadata, caller, kit) as image, kit.transaction() as tx:
        server, rule = _admitted(tx, Action.CREATE_BACKUP, BACKUP, server_id, caller, kit, lock=True)
        begin(
            tx,
            BACKUP_SERVER,
            server,
            caller,
            rule,
            image_id=image.kept(tx),
            quiesce=quiesce_of(_properties(server)),
            backup_type=asked.backup_type,
            rotation=asked.rotation,
        )
    return _answer(image.id, kit, version, is_kept=asked.rotation > 0)


@dataclass(frozen=True, slots=True)
class NewImage:
    """One that is removed again after a while, unless it is kept before: whoever made it may have died."""

    id: UUID
    removal: UUID  # the saga that waits

    def kept(self, tx: Tx) -> UUID:
        """Its id, for what depends on it from this transaction on.  Unavailable if its making took so long that it goes"""
        if not tx.sagas.withdraw(self.removal):
            raise Unavailable("The image service took too long to make the image")
        return self.id


@contextmanager
def new_image(
    server: Server, name: str, kind: str, metadata: Mapping[str, str], caller: Who, kit: Kit
) -> Iterator[NewImage]:
    """In the caller's own name; gone again if the block fails, or does not keep it."""
    body = image_of(
        server,
        name,
        kind=kind,
        project_id=caller.project_id,
        user_id=caller.user_id,
        metadata=metadata,
        not_inherited=kit.settings.non_inheritable_image_properties,
    )
    image = _promised(server, caller, kit)
    try:
        _make(body | {"id": str(image.id)}, caller, kit)
        if caller.project_id != server.project_id:
            kit.images.share(image.id, server.project_id, token=caller.token)
        yield image
    except BaseException:
        _forget(image, caller, kit)
        raise


def _promised(server: Server, caller: Who, kit: Kit) -> NewImage:
    """Written down before it is there: an image that nobody remembers would stay, without bytes, for ever."""
    image_id = uuid4()
    with kit.transaction() as tx:
        removal = tx.sagas.start(
            REMOVE_IMAGE,
            RemoveImage(image_id=image_id),
            resource_id=image_id,
            project_id=server.project_id,
            user_id=caller.user_id,
            due_at=utc_now() + KEPT_WITHIN,
        )
    return NewImage(image_id, removal)


def _make(body: dict[str, Any], caller: Who, kit: Kit) -> None:
    """OverQuota in Nova's status, whichever bound of the image service it is"""
    try:
        kit.images.create(body, token=caller.token)
    except TooLarge as error:
        raise OverQuota(error.message) from error


def _forget(image: NewImage, caller: Who, kit: Kit) -> None:
    """The first error is the one to tell; where this one stands in the way of removing it, the saga does that later."""
    try:
        kit.images.remove(image.id, token=caller.token)
    except NotFound:
        pass
    except PlatformError:
        return
    with suppress(PlatformError), kit.transaction() as tx:
        tx.sagas.withdraw(image.removal)


def _admitted(
    tx: Tx, wanted: Action, rule: str, server_id: str, caller: Who, kit: Kit, *, lock: bool = False
) -> tuple[Server, Rule]:
    """NotFound, Forbidden, Conflict"""
    if lock:
        server = tx.servers.locked(server_id, project_id=scope_of(caller))
    else:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
    kit.policy.must(rule, caller, owner(server))
    has_host = server.host is not None
    return server, admit(wanted, server.id, server.vm_state, server.task_state, has_host=has_host)


def _must_be_few(metadata: Mapping[str, str], server: Server, tx: Tx, version: int) -> None:
    """OverQuota, until the image service alone counts them."""
    if version <= METADATA_COUNTED_UNTIL:
        tx.quotas.must_be_few(metadata, project_id=server.project_id)


def _properties(server: Server) -> Mapping[str, Any]:
    return server.image.get("properties") or {}


def _answer(image_id: UUID, kit: Kit, version: int, *, is_kept: bool = True) -> Response:
    """Its id in the body, or before 2.45 its address alone."""
    if version >= ID_IN_BODY_SINCE:
        return Json({"image_id": str(image_id)}, 202)
    answer = empty(202)
    if is_kept:
        answer.headers["location"] = f"{kit.image_url}/v2/images/{image_id}"
    return answer
