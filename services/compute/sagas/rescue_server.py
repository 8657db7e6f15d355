"""Start a server from another disk, with its own beside it, so that somebody can repair that; and back."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import CacheImage, RescueGuest, StartGuest, StopGuest, UnrescueGuest
from services.compute.core.guests import GuestImage
from services.compute.core.hardware import hardware_of_copies
from services.compute.core.states import VmState
from services.compute.db.server_states import ServerStates
from services.compute.sagas.boot_server import ASK_AGAIN_S, host_of
from services.compute.sagas.guest_spec import spec_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, mark, marks, stay


class RescueServer(BaseModel):
    server_id: UUID
    image: GuestImage
    properties: dict[str, str] | None = None  # of that image; None: it is the server's own
    was_on: bool = True


class UnrescueServer(BaseModel):
    server_id: UUID


def cache_image(run: Run[RescueServer], kit: Kit) -> bool:
    """Whether the host had to fetch it."""
    return kit.call(CacheImage(image=run.params.image), run.results["host"], timeout_s=ASK_AGAIN_S)


def stop_guest(run: Run[RescueServer], kit: Kit) -> int:
    patience_s = kit.rules.stop_patience_s
    return int(kit.call(StopGuest(server_id=run.params.server_id, patience_s=patience_s), run.results["host"]))


def start_again(run: Run[RescueServer], kit: Kit) -> None:
    if run.params.was_on:
        kit.call(StartGuest(server_id=run.params.server_id), run.results["host"])


def rescue_guest(run: Run[RescueServer], kit: Kit) -> int:
    """The guest's power state."""
    with kit.database.reading() as session:
        server = ServerStates(session).read(run.params.server_id)
    spec = spec_of(server, kit, build=run.id)
    asked = run.params.properties
    wanted = spec.hardware if asked is None else hardware_of_copies({"properties": asked}, server.flavor)
    rescue = spec.model_copy(update={"image": run.params.image, "hardware": spec.hardware.in_rescue(wanted)})
    return int(kit.call(RescueGuest(guest=rescue), run.results["host"]))


def take_disk_away(run: Run[RescueServer], kit: Kit) -> None:
    kit.call(UnrescueGuest(server_id=run.params.server_id), run.results["host"])


def unrescue_guest(run: Run[UnrescueServer], kit: Kit) -> int:
    return int(kit.call(UnrescueGuest(server_id=run.params.server_id), run.results["host"]))


def start_guest(run: Run[UnrescueServer], kit: Kit) -> int:
    """The guest's power state."""
    return int(kit.call(StartGuest(server_id=run.params.server_id), run.results["host"]))


def mark_rescued(run: Run[RescueServer], kit: Kit, session: Session) -> None:
    mark(run, kit, session, power_state=run.results["guest"], then=VmState.RESCUED, admin_password=None)


def stay_as_it_was(run: Run[RescueServer], kit: Kit, session: Session) -> None:
    ServerStates(session).change(run.params.server_id, kit.now(), admin_password=None)
    stay(run, kit, session)


RESCUE_SERVER = Saga(
    name="rescue_server",
    params=RescueServer,
    steps=(
        LocalStep("host", find_host),
        Step("image", cache_image, timeout_s=1000),
        Step("stop", stop_guest, undo=start_again, timeout_s=240),
        Step("guest", rescue_guest, undo=take_disk_away, timeout_s=180),
        LocalStep("rescued", mark_rescued),
    ),
    failed=stay_as_it_was,
    host_of=host_of,
    action="rescue",
)

UNRESCUE_SERVER = Saga(
    name="unrescue_server",
    params=UnrescueServer,
    steps=(
        LocalStep("host", find_host),
        Step("disk", unrescue_guest, timeout_s=120),
        Step("guest", start_guest, timeout_s=120),
        LocalStep("unrescued", marks("guest")),
    ),
    failed=stay,
    host_of=host_of,
    action="unrescue",
)
