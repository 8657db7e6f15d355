"""Put a server away: its disk becomes an image, and it gives its host back, at once or later; and fetch it again.

While it is shelved, `before` of its row knows the image that its disk went into.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import NotFound, PlatformError
from common.saga.saga import LocalStep, Run, Saga, Step
from common.saga.store import Sagas
from services.compute.contract import (
    CacheImage,
    CreateGuest,
    DestroyGuest,
    PauseGuest,
    StartGuest,
    StopGuest,
    SuspendGuest,
)
from services.compute.core.guests import GuestImage, PowerState, Quiesce
from services.compute.core.states import TaskState, VmState
from services.compute.db.placement import Placement
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import SAGAS, ServerRow
from services.compute.sagas.boot_server import ASK_AGAIN_S, SPAWNING, host_of
from services.compute.sagas.disk_copies import (
    LONGEST_COPY_S,
    LONGEST_UPLOAD_S,
    copy_disk,
    drop_copies,
    find_image,
    forget_image,
    remove_image,
    shows,
    upload_copy,
)
from services.compute.sagas.guest_spec import spec_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, mark, stay
from services.compute.sagas.schedule import claim_somewhere

SHELVED_IMAGE = "shelved_image"  # key of `before`


class ShelveServer(BaseModel):
    server_id: UUID
    image_id: UUID
    quiesce: Quiesce = Quiesce.NO  # it is off while it is copied
    was_on: bool = True
    was_paused: bool = False


class OffloadServer(BaseModel):
    server_id: UUID


class UnshelveServer(BaseModel):
    server_id: UUID
    in_place: bool = False  # it is still on its host
    host: str | None = None  # where it is wanted, this once


# ---------------------------------------------------------------- away


def stop_guest(run: Run[ShelveServer], kit: Kit) -> int:
    """The guest's power state: off.  One that is paused can't shut down: its memory is kept, for the way back."""
    server_id, host = run.params.server_id, run.results["host"]
    if run.params.was_paused:
        return int(kit.call(SuspendGuest(server_id=server_id), host))
    return int(kit.call(StopGuest(server_id=server_id, patience_s=kit.rules.stop_patience_s), host))


def start_again(run: Run[ShelveServer], kit: Kit) -> None:
    server_id, host = run.params.server_id, run.results["host"]
    if run.params.was_on or run.params.was_paused:
        kit.call(StartGuest(server_id=server_id), host)
    if run.params.was_paused:
        kit.call(PauseGuest(server_id=server_id), host)


def mark_shelved(run: Run[ShelveServer], kit: Kit, session: Session) -> None:
    """And on its way off its host, unless it may stay for a while."""
    server = ServerStates(session).change(
        run.params.server_id,
        kit.now(),
        vm_state=VmState.SHELVED,
        task_state=None,
        power_state=run.results["stop"],
        before={SHELVED_IMAGE: str(run.params.image_id)},
        waits_since=kit.now(),
        fault=None,
    )
    if kit.rules.shelved_offload_s == 0:
        begin_offload(session, server, kit)
    kit.tell(run, server)


def begin_offload(session: Session, server: ServerRow, kit: Kit) -> None:
    """Not in the timeline: it is the end of what was asked for before."""
    server.task_state, server.updated_at = TaskState.OFFLOADING, kit.now()
    Sagas(session, SAGAS).start(
        replace(OFFLOAD_SERVER, action=""),
        OffloadServer(server_id=server.id),
        resource_id=server.id,
        project_id=server.project_id,
        user_id=server.user_id,
        at=kit.now(),
    )


def destroy_guest(run: Run[OffloadServer], kit: Kit) -> bool:
    """Whether its host has removed it; one that is down does that when it is back."""
    host = run.results["host"]
    if kit.is_down(host):
        return False
    kit.call(DestroyGuest(server_id=run.params.server_id), host)
    return True


def mark_offloaded(run: Run[OffloadServer], kit: Kit, session: Session) -> None:
    """What it held of its host is free, and a guest that is still there belongs nowhere: its host removes it.

    Also where something failed: its disk is in its image, and there is no way back once the guest is gone.
    """
    server = ServerStates(session).locked(run.params.server_id)
    if server.deleted_at is not None:
        return
    Placement(session).release(server.id)
    server.host = server.zone = server.waits_since = None
    server.vm_state, server.power_state, server.updated_at = VmState.SHELVED_OFFLOADED, PowerState.SHUTDOWN, kit.now()
    if server.task_state != TaskState.DELETING:
        server.task_state = None
    kit.tell(run, server)


# ---------------------------------------------------------------- and back


def find_snapshot(run: Run[UnshelveServer], kit: Kit) -> dict[str, Any] | None:
    """The image that holds its disk; none is needed where it still is."""
    if run.params.in_place:
        return None
    with kit.database.reading() as session:
        image_id = shelved_image_of(ServerStates(session).read(run.params.server_id))
    try:
        image = kit.images.show(image_id or "")
    except NotFound as error:
        raise PlatformError(f"Unshelve attempted but the image {image_id} cannot be found.") from error
    return GuestImage(
        id=image.id,
        sha512=image.os_hash_value or "",
        size_bytes=image.size or 0,
        disk_format=image.disk_format or "",
    ).model_dump(mode="json")


def claim_host(run: Run[UnshelveServer], kit: Kit, session: Session) -> str:
    """By the same rules as for a new server; its own while it is there."""
    states = ServerStates(session)
    server = states.locked(run.params.server_id)
    if server.host is not None:
        return server.host
    found = claim_somewhere(server, kit, session, failed_hosts=run.excluded, wanted_host=run.params.host)
    states.assign(server, kit.now(), host=found.host, zone=found.zone, task_state=SPAWNING)
    kit.tell(run, server)
    return found.host


def release_host(run: Run[UnshelveServer], kit: Kit, session: Session) -> None:
    if not run.params.in_place:
        server = ServerStates(session).locked(run.params.server_id)
        Placement(session).release(server.id)
        server.host = server.zone = None


def cache_image(run: Run[UnshelveServer], kit: Kit) -> bool:
    """Whether the host had to fetch it."""
    if run.params.in_place:
        return False
    return kit.call(CacheImage(image=_snapshot(run)), run.results["host"], timeout_s=ASK_AGAIN_S)


def start_guest(run: Run[UnshelveServer], kit: Kit) -> int:
    """The guest's power state."""
    server_id, host = run.params.server_id, run.results["host"]
    if run.params.in_place:
        return int(kit.call(StartGuest(server_id=server_id), host))
    with kit.database.reading() as session:
        server = ServerStates(session).read(server_id)
    spec = spec_of(server, kit, build=run.id)
    return int(kit.call(CreateGuest(guest=spec.model_copy(update={"image": _snapshot(run)})), host))


def put_back(run: Run[UnshelveServer], kit: Kit) -> None:
    """Off again, or away again."""
    host = run.results.get("host")
    if host is not None and not run.params.in_place:
        kit.clear(run.params.server_id, host)
    elif host is not None and not kit.is_down(host):
        kit.call(StopGuest(server_id=run.params.server_id, patience_s=0), host)


def mark_unshelved(run: Run[UnshelveServer], kit: Kit, session: Session) -> None:
    forget_shelved_image(session, ServerStates(session).locked(run.params.server_id), kit)
    mark(run, kit, session, power_state=run.results["guest"], before=None, waits_since=None, admin_password=None)


def forget_shelved_image(session: Session, server: ServerRow, kit: Kit) -> None:
    """Whatever a shelved server's disk went into is not needed any more."""
    if (image_id := shelved_image_of(server)) is not None:
        forget_image(session, image_id, kit, project_id=server.project_id, user_id=server.user_id)


def shelved_image_of(server: ServerRow) -> UUID | None:
    image_id = (server.before or {}).get(SHELVED_IMAGE)
    return None if image_id is None else UUID(image_id)


def _snapshot(run: Run[UnshelveServer]) -> GuestImage:
    return GuestImage.model_validate(run.results["snapshot"])


SHELVE_SERVER = Saga(
    name="shelve_server",
    params=ShelveServer,
    steps=(
        Step("image", find_image, undo=remove_image),
        LocalStep("host", find_host),
        Step("stop", stop_guest, undo=start_again, timeout_s=240),
        Step("copy", copy_disk, undo=drop_copies, timeout_s=LONGEST_COPY_S),
        LocalStep("copied", shows(TaskState.SHELVING_UPLOADING)),
        Step("upload", upload_copy, timeout_s=LONGEST_UPLOAD_S),
        LocalStep("shelved", mark_shelved),
    ),
    failed=stay,
    host_of=host_of,
    action="shelve",
)

OFFLOAD_SERVER = Saga(
    name="offload_server",
    params=OffloadServer,
    steps=(
        LocalStep("host", find_host),
        Step("guest", destroy_guest, timeout_s=90, may_be_skipped=True),
        LocalStep("offloaded", mark_offloaded),
    ),
    failed=mark_offloaded,
    host_of=host_of,
    may_be_cancelled=False,
    action="shelveOffload",
)

UNSHELVE_SERVER = Saga(
    name="unshelve_server",
    params=UnshelveServer,
    steps=(
        Step("snapshot", find_snapshot),
        LocalStep("host", claim_host, undo=release_host),
        Step("image", cache_image, timeout_s=1000),
        Step("guest", start_guest, undo=put_back, timeout_s=180),
        LocalStep("unshelved", mark_unshelved),
    ),
    failed=stay,
    elsewhere="host",
    host_of=host_of,
    action="unshelve",
)
