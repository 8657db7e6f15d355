"""What the control plane answers on the bus: hosts that register and live, guests that are not as they were."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from common.bus.bus import Handlers
from common.errors import Conflict
from common.saga.engine import SagaEngine
from common.saga.store import Sagas
from services.compute.contract import CompareGuests, GuestChanged, GuestFate, HostAlive, RegisterHost, SagasDue
from services.compute.core.faults import a_fault
from services.compute.core.guests import GuestFound, PowerState
from services.compute.core.placement import Ratios
from services.compute.core.seen_guests import Finding, finding, should_run
from services.compute.core.states import WITH_GUEST, VmState
from services.compute.db.hosts import Hosts
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import SAGAS, ServerRow
from services.compute.sagas.kit import Kit

log = logging.getLogger(__name__)

handlers = Handlers()

SKEW = timedelta(seconds=5)  # that clocks of two machines may differ by


@dataclass(frozen=True, slots=True)
class Worker:
    """What the answers work with."""

    kit: Kit
    engine: SagaEngine
    ratios: Ratios
    default_zone: str


@handlers.serves(RegisterHost)
def register_host(call: RegisterHost, worker: Worker) -> UUID:
    with worker.kit.database.transaction() as session:
        return Hosts(session).register(call.facts, zone=worker.default_zone, ratios=worker.ratios, at=worker.kit.now())


@handlers.serves(HostAlive)
def note_heartbeat(call: HostAlive, worker: Worker) -> bool:
    """By our own clock: a host's may be wrong."""
    with worker.kit.database.transaction() as session:
        return Hosts(session).alive(call.host, at=worker.kit.now())


@handlers.serves(SagasDue)
def look_for_sagas(call: SagasDue, worker: Worker) -> None:
    worker.engine.nudge()


@handlers.serves(GuestChanged)
def note_change(call: GuestChanged, worker: Worker) -> None:
    """Conflict while a saga is at work on the server: it has the say, and the host looks again."""
    with worker.kit.database.transaction() as session:
        states = ServerStates(session)
        server = states.on(call.host, call.server_id)
        if server is not None:
            if states.with_saga([server.id]):
                raise Conflict("Something is being done to the server")
            what = finding(
                server.vm_state,
                server.power_state,
                call.power_state,
                cause=call.cause,
                restarted=call.restarted,
                failure=call.failure,
            )
            _settle(session, server, what, seen_at=call.at, kit=worker.kit, succeeded=call.failure is None)


@handlers.serves(CompareGuests)
def compare_guests(call: CompareGuests, worker: Worker) -> list[GuestFate]:
    """Sagas at work have the say over their servers; the rest is settled here.

    A guest without any server, not even a deleted one, is kept: rather a forgotten guest than a lost one.
    """
    found = {guest.server_id: guest for guest in call.guests}
    with worker.kit.database.transaction() as session:
        states = ServerStates(session)
        here = {server.id: server for server in states.on_host(call.host)}
        strangers = ({*found, *call.leftovers}) - set(here)
        known = states.existing(strangers)
        busy = states.with_saga([*here, *strangers])
        for unknown in strangers - known:
            log.warning("guest without a server", extra={"host": call.host, "server_id": str(unknown)})
        fates = [GuestFate(server_id=one, fate="remove") for one in sorted(known - busy)]
        fates += [GuestFate(server_id=one, fate="tidy") for one in call.copied if one in here and one not in busy]
        for server_id, server in here.items():
            guest = found.get(server_id)
            if server_id not in busy:
                fates += _fate(session, server, guest, call, worker.kit)
            elif call.after_boot and _is_off(guest) and should_run(server.vm_state, server.power_state):
                fates.append(GuestFate(server_id=server_id, fate="later"))
        return fates


def _is_off(guest: GuestFound | None) -> bool:
    return guest is not None and guest.power_state is PowerState.SHUTDOWN


def _fate(
    session: Session, server: ServerRow, found: GuestFound | None, call: CompareGuests, kit: Kit
) -> list[GuestFate]:
    runs_again = call.after_boot and should_run(server.vm_state, server.power_state)
    if found is None:
        is_expected = server.vm_state in WITH_GUEST
        fate = GuestFate(server_id=server.id, fate="run" if runs_again else "keep")
        return [fate] if is_expected else []
    if runs_again and _is_off(found):
        return [GuestFate(server_id=server.id, fate="run")]
    seen = finding(
        server.vm_state, server.power_state, found.power_state, cause=found.cause, after_boot=call.after_boot
    )
    _settle(session, server, seen, seen_at=call.at, kit=kit)
    return []


def _settle(
    session: Session, server: ServerRow, what: Finding | None, *, seen_at: datetime, kit: Kit, succeeded: bool = True
) -> None:
    """Note what is true of the server now, unless that was seen before it last changed."""
    if what is None or seen_at < server.updated_at - SKEW:
        return
    now = kit.now()
    server.vm_state, server.power_state, server.updated_at = what.vm_state, what.power_state, now
    if what.vm_state == VmState.ERROR and what.message:
        server.fault = a_fault(what.message, at=now)
    if what.action:
        _note(session, server, what.action, what.message, kit, succeeded=succeeded)
    kit.tell_after(session, server)


def _note(
    session: Session, server: ServerRow, action: str, message: str | None, kit: Kit, *, succeeded: bool = True
) -> None:
    """In its timeline."""
    Sagas(session, SAGAS).note(
        action,
        resource_id=server.id,
        project_id=server.project_id,
        user_id=server.user_id,
        step="guest",
        at=kit.now(),
        host=server.host,
        message=message,
        succeeded=succeeded,
    )
