"""Have a server's kernel write a crash dump."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.saga.saga import LocalStep, Run, Saga, Step
from services.compute.contract import CrashGuest
from services.compute.db.server_states import ServerStates
from services.compute.sagas.boot_server import host_of
from services.compute.sagas.kit import Kit
from services.compute.sagas.power import find_host


class CrashServer(BaseModel):
    server_id: UUID


def crash_guest(run: Run[CrashServer], kit: Kit) -> None:
    kit.call(CrashGuest(server_id=run.params.server_id), run.results["host"])


def let_be(run: Run[CrashServer], kit: Kit, session: Session) -> None:
    """The server's state is its guest's; what came of the dump, or why there is none, stands in the timeline."""
    ServerStates(session).change(run.params.server_id, kit.now())


CRASH_SERVER = Saga(
    name="crash_server",
    params=CrashServer,
    steps=(LocalStep("host", find_host), Step("guest", crash_guest), LocalStep("done", let_be)),
    failed=let_be,
    host_of=host_of,
    action="trigger_crash_dump",
)
