"""Give a server new disks from an image, and leave it its id, its host and its place in quota.

The row says already what the new guest is to be; the old one goes only once the image is on the host.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import NoCapacity
from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import CacheImage, RebuildGuest, StopGuest
from services.compute.db.migration_records import CONFIRMED, MigrationRecords
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import ServerRow
from services.compute.sagas.boot_server import ASK_AGAIN_S, host_of, mark_error
from services.compute.sagas.guest_spec import image_of, spec_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host, mark
from services.compute.sagas.resize_server import claim_now
from services.compute.sagas.schedule import must_suit


class OldImage(BaseModel):
    """What the server was made from until now."""

    image_id: UUID | None
    image: dict[str, Any]


class RebuildServer(BaseModel):
    server_id: UUID
    was_off: bool = False  # then it is off afterwards, too
    old: OldImage | None = None  # None: it keeps its image


def check_image(run: Run[RebuildServer], kit: Kit, session: Session) -> str | None:
    """Why the server's host does not take another image, by the same rules as for a new server; it keeps the old one then."""
    if (old := run.params.old) is None:
        return None
    states = ServerStates(session)
    server = states.locked(run.params.server_id)
    try:
        must_suit(server, kit, session)
    except NoCapacity as error:
        states.assign(server, kit.now(), image_id=old.image_id, image=old.image)
        return error.message
    return None


def cache_image(run: Run[RebuildServer], kit: Kit) -> bool:
    """Whether the host had to fetch it.  NoCapacity if it does not take it"""
    if (why := run.results["suits"]) is not None:
        raise NoCapacity(why)
    return kit.call(CacheImage(image=image_of(_server(run, kit))), run.results["host"], timeout_s=ASK_AGAIN_S)


def rebuild_guest(run: Run[RebuildServer], kit: Kit) -> int:
    """The guest's power state."""
    spec = spec_of(_server(run, kit), kit, build=run.id)
    return int(kit.call(RebuildGuest(guest=spec), run.results["host"]))


def stop_guest(run: Run[RebuildServer], kit: Kit) -> int:
    """The guest's power state: off, if it was before."""
    if not run.params.was_off:
        return int(run.results["guest"])
    return int(kit.call(StopGuest(server_id=run.params.server_id, patience_s=0), run.results["host"]))


def mark_rebuilt(run: Run[RebuildServer], kit: Kit, session: Session) -> None:
    """There is no way back to an earlier size from new disks: what was claimed for that is free."""
    server = ServerStates(session).locked(run.params.server_id)
    if "flavor" in (server.before or {}):
        claim_now(session, server, server.flavor)
        MigrationRecords(session).reached(server.id, CONFIRMED, at=kit.now())
        server.before = None
    mark(run, kit, session, power_state=run.results["power"], launched_at=kit.now(), admin_password=None)


def _server(run: Run[RebuildServer], kit: Kit) -> ServerRow:
    with kit.database.reading() as session:
        return ServerStates(session).read(run.params.server_id)


REBUILD_SERVER = Saga(
    name="rebuild_server",
    params=RebuildServer,
    steps=(
        LocalStep("host", find_host),
        LocalStep("suits", check_image),
        Step("image", cache_image, timeout_s=1000),
        Step("guest", rebuild_guest, timeout_s=240),
        Step("power", stop_guest, timeout_s=90),
        LocalStep("done", mark_rebuilt),
    ),
    failed=mark_error,
    host_of=host_of,
    action="rebuild",
)
