"""Boot a server: host, image, guest.

All that it needs is in the server's row, written when the request was accepted; no token of anybody's is used.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import NoCapacity
from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import CacheImage, CreateGuest
from services.compute.core.faults import a_fault
from services.compute.core.states import TaskState, VmState
from services.compute.db.placement import Placement
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import ServerRow
from services.compute.sagas.guest_spec import image_of, spec_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.schedule import claim_somewhere

SPAWNING = "spawning"
ASK_AGAIN_S = 60  # an image may take long to fetch, but an answer that got lost should not


class BootServer(BaseModel):
    server_id: UUID


def claim_host(run: Run[BootServer], kit: Kit, session: Session) -> str:
    """Name of the host that now holds this server's vCPUs, memory and disk."""
    states = ServerStates(session)
    server = states.locked(run.params.server_id)
    if server.host is not None:
        return server.host
    try:
        found = claim_somewhere(server, kit, session, failed_hosts=run.excluded)
    except NoCapacity as error:
        earlier = f" The host tried last said: {run.error}" if run.excluded and run.error else ""
        raise NoCapacity(error.message + earlier) from error
    states.assign(server, kit.now(), host=found.host, zone=found.zone, task_state=SPAWNING)
    kit.tell(run, server)
    run.memory[_key(found.host)] = server
    return found.host


def release_host(run: Run[BootServer], kit: Kit, session: Session) -> None:
    server = ServerStates(session).locked(run.params.server_id)
    Placement(session).release(server.id)
    server.host = server.zone = None


def cache_image(run: Run[BootServer], kit: Kit) -> bool:
    """Whether the host had to fetch it."""
    image, host = image_of(_server(run, kit)), run.results["host"]
    was_fetched = kit.call(CacheImage(image=image), host, timeout_s=ASK_AGAIN_S)
    kit.seen_images.note(image, host, at=kit.now())
    return was_fetched


def known_image(run: Run[BootServer], kit: Kit) -> bool | None:
    """False if the host had it a moment ago: should it be gone, it is fetched when the guest is made."""
    if (server := run.memory.get(_key(run.results["host"]))) is None:
        return None
    return False if kit.seen_images.has(image_of(server), run.results["host"], at=kit.now()) else None


def create_guest(run: Run[BootServer], kit: Kit) -> int:
    """The guest's power state."""
    spec = spec_of(_server(run, kit), kit, build=run.id)
    return int(kit.call(CreateGuest(guest=spec), run.results["host"]))


def destroy_guest(run: Run[BootServer], kit: Kit) -> None:
    if (host := run.results.get("host")) is not None:
        kit.clear(run.params.server_id, host)


def _server(run: Run[BootServer], kit: Kit) -> ServerRow:
    """The server as it was when the host was chosen, or since."""
    key = _key(run.results["host"])
    if key not in run.memory:
        with kit.database.reading() as session:
            run.memory[key] = ServerStates(session).read(run.params.server_id)
    found: ServerRow = run.memory[key]
    return found


def _key(host: str) -> str:
    return f"server on {host}"


def mark_active(run: Run[BootServer], kit: Kit, session: Session) -> None:
    now = kit.now()
    server = ServerStates(session).change(
        run.params.server_id,
        now,
        vm_state=VmState.ACTIVE,
        task_state=None,
        power_state=run.results["guest"],
        launched_at=now,
        admin_password=None,
        fault=None,
    )
    kit.tell(run, server)


def mark_error(run: Run[Any], kit: Kit, session: Session) -> None:
    """The reason where the owner finds it; a server that is being deleted is the next saga's."""
    server = ServerStates(session).change(run.params.server_id, kit.now(), admin_password=None)
    if server.task_state != TaskState.DELETING and server.deleted_at is None:
        server.vm_state, server.task_state = VmState.ERROR, None
        server.fault = a_fault(run.error or "The server could not be booted", at=kit.now())
        kit.tell(run, server)


def host_of(run: Run[Any]) -> str | None:
    host = run.results.get("host")
    return None if host is None else str(host)


BOOT_SERVER = Saga(
    name="boot_server",
    params=BootServer,
    steps=(
        LocalStep("host", claim_host, undo=release_host),
        Step("image", cache_image, timeout_s=1000, known=known_image),
        Step("guest", create_guest, undo=destroy_guest, timeout_s=180),
        LocalStep("active", mark_active),  # last and local: nothing after it can fail, so no undo
    ),
    failed=mark_error,
    elsewhere="host",
    host_of=host_of,
    action="create",
)
