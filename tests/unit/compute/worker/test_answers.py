"""What the control plane makes of what hosts tell."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from common.bus.bus import Handlers
from common.errors import Conflict
from common.saga.store import Sagas
from services.compute.contract import CompareGuests, GuestChanged, HostAlive, RegisterHost, ServerChanged
from services.compute.core.guests import Cause, GuestFound, PowerState
from services.compute.core.states import VmState
from services.compute.db.hosts import Hosts
from services.compute.db.tables import SAGAS
from services.compute.sagas import (
    DELETE_SERVER,
    SNAPSHOT_SERVER,
    STOP_SERVER,
    DeleteServer,
    SnapshotServer,
    StopServer,
)
from tests.harness.compute import ComputeWorld
from tests.harness.waiting import until


def changed(world: ComputeWorld, server_id: UUID, state: PowerState | None, cause: Cause | None = None) -> None:
    world.clock.advance(30)
    host = world.server(server_id).host or "sim-1"
    world.bus.call(GuestChanged(host=host, server_id=server_id, power_state=state, at=world.clock.now(), cause=cause))


def timeline(world: ComputeWorld, server_id: UUID) -> list[tuple[str, str]]:
    """Actions and their last messages, newest first."""
    with world.database.reading() as session:
        sagas = Sagas(session, SAGAS)
        return [(row.action, sagas.events_of([row.id])[-1].message or "") for row in sagas.of_resource(server_id)]


def compared(world: ComputeWorld, host: str, *, after_boot: bool = False) -> dict[UUID, str]:
    world.clock.advance(30)
    hypervisor = world.hosts[host]
    call = CompareGuests(host=host, guests=hypervisor.guests(), after_boot=after_boot, at=world.clock.now())
    return {fate.server_id: fate.fate for fate in world.bus.call(call)}


# fmt: off
HOW = {
    Cause.ENDED:        "The guest shut down by itself",
    Cause.SWITCHED_OFF: "The guest was switched off on its host",
    Cause.CRASHED:      "The guest crashed, or its process on the host did",
    Cause.SAVED:        "The guest was saved and switched off on its host",
    Cause.PAUSED:       "The guest was paused on its host",
    Cause.DISK_FAILED:  "The guest stands still since one of its disks could not be read or written",
    Cause.DISK_FULL:    "The guest stands still since the disk of its host is full",
    Cause.WATCHDOG:     "The guest was paused by its watchdog",
}
SEEN = [
    # state before,     what was seen,         state after,       power state,           in the timeline
    (VmState.ACTIVE,  PowerState.SHUTDOWN, VmState.STOPPED, PowerState.SHUTDOWN, "stop"),
    (VmState.ACTIVE,  PowerState.CRASHED,  VmState.STOPPED, PowerState.SHUTDOWN, "stop"),
    (VmState.ACTIVE,  PowerState.PAUSED,   VmState.ACTIVE,  PowerState.PAUSED,   "pause"),
    (VmState.ACTIVE,  PowerState.SUSPENDED, VmState.ACTIVE, PowerState.SUSPENDED, "suspend"),
    (VmState.RESCUED, PowerState.SHUTDOWN, VmState.RESCUED, PowerState.SHUTDOWN, "stop"),
    (VmState.RESIZED, PowerState.PAUSED,   VmState.RESIZED, PowerState.PAUSED,   "pause"),
    (VmState.STOPPED, PowerState.RUNNING,  VmState.ACTIVE,  PowerState.RUNNING,  "start"),
    (VmState.ACTIVE,  None,                VmState.ERROR,   PowerState.NOSTATE,  "lost"),
    (VmState.ERROR,   PowerState.SHUTDOWN, VmState.ERROR,   PowerState.SHUTDOWN, None),
    (VmState.ERROR,   None,                VmState.ERROR,   PowerState.RUNNING,  None),
]
# fmt: on


@pytest.mark.parametrize(("before", "seen", "after", "power", "action"), SEEN)
def test_a_guest_that_changed_by_itself_changes_its_server(
    world: ComputeWorld, before: str, seen: PowerState | None, after: str, power: PowerState, action: str | None
) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, vm_state=before)

    changed(world, server_id, seen)

    server = world.server(server_id)
    assert (server.vm_state, server.power_state) == (after, power)
    with world.database.reading() as session:
        actions = [row.action for row in Sagas(session, SAGAS).of_resource(server_id)]
    assert actions == ([action] if action else []) + ["create"]
    assert before == VmState.ERROR or (server.fault is None) == (after != VmState.ERROR)


@pytest.mark.parametrize(
    ("before", "action"),
    [(PowerState.PAUSED, "unpause"), (PowerState.SUSPENDED, "resume"), (PowerState.SHUTDOWN, "start")],
)
def test_a_guest_that_goes_on_is_in_the_timeline(world: ComputeWorld, before: PowerState, action: str) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, power_state=before)

    changed(world, server_id, PowerState.RUNNING)

    assert timeline(world, server_id)[0] == (action, "The guest runs again")
    assert world.server(server_id).power_state == PowerState.RUNNING


@pytest.mark.parametrize("cause", Cause)
def test_the_timeline_says_how_it_came_to_that(world: ComputeWorld, cause: Cause) -> None:
    server_id = world.a_booted_server()
    stands_still = cause in (Cause.PAUSED, Cause.DISK_FAILED, Cause.DISK_FULL, Cause.WATCHDOG)
    state = PowerState.PAUSED if stands_still else PowerState.SHUTDOWN

    changed(world, server_id, state, cause)

    action, message = timeline(world, server_id)[0]
    assert action == ("pause" if stands_still else "stop")
    assert message == HOW[cause]


def test_what_a_host_saw_is_told_once_it_is_committed(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    heard: list[tuple[str, str]] = []
    handlers = Handlers()

    @handlers.hears(ServerChanged)
    def note(event: ServerChanged) -> None:
        heard.append((event.vm_state, world.server(event.server_id).vm_state))

    world.bus.listen(ServerChanged.topic, handlers)

    changed(world, server_id, PowerState.SHUTDOWN)

    until(lambda: heard, what="the event")
    assert heard == [(VmState.STOPPED, VmState.STOPPED)]


def test_a_change_is_not_heeded_while_a_saga_is_at_work(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.begin(STOP_SERVER, StopServer(server_id=server_id))

    with pytest.raises(Conflict):
        changed(world, server_id, PowerState.SHUTDOWN)

    assert world.server(server_id).vm_state == VmState.ACTIVE


def test_a_change_that_was_seen_before_the_server_last_changed_is_old_news(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    seen_at = world.clock.now()
    world.clock.advance(60)
    world.change(server_id, updated_at=world.clock.now())
    host = world.server(server_id).host or ""

    world.bus.call(GuestChanged(host=host, server_id=server_id, power_state=PowerState.SHUTDOWN, at=seen_at))

    assert world.server(server_id).vm_state == VmState.ACTIVE


def test_only_the_host_that_a_server_is_on_has_a_say(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    [other] = [name for name in world.hosts if name != world.server(server_id).host][:1]

    world.bus.call(GuestChanged(host=other, server_id=server_id, power_state=None, at=world.clock.now()))

    assert world.server(server_id).vm_state == VmState.ACTIVE


# ---------------------------------------------------------------- comparison


def test_a_guest_of_a_deleted_server_is_to_be_removed(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    host = world.server(server_id).host or ""
    world.hosts[host].faults.fail_next("destroy", RuntimeError("no"))
    world.begin(DELETE_SERVER, DeleteServer(server_id=server_id))
    world.engine.run_due()

    fates = compared(world, host)

    assert world.server(server_id).vm_state == VmState.DELETED
    assert fates == {server_id: "remove"}


def test_a_guest_of_a_server_on_another_host_is_to_be_removed(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    host = world.server(server_id).host or ""
    world.change(server_id, host="elsewhere")

    assert compared(world, host) == {server_id: "remove"}


def test_a_guest_without_any_server_is_kept(world: ComputeWorld) -> None:
    call = CompareGuests(
        host="sim-1",
        guests=[GuestFound(server_id=uuid4(), power_state=PowerState.RUNNING)],
        leftovers=[uuid4()],
        at=world.clock.now(),
    )

    assert world.bus.call(call) == []


def test_guests_that_ran_before_the_machine_was_restarted_run_again(world: ComputeWorld) -> None:
    ran, stopped = world.a_booted_server(wanted_zone="nova:sim-1"), world.a_booted_server(wanted_zone="nova:sim-1")
    world.do(STOP_SERVER, StopServer(server_id=stopped))
    world.hosts["sim-1"].happen(ran, PowerState.SHUTDOWN)

    fates = compared(world, "sim-1", after_boot=True)

    assert fates == {ran: "run"}
    assert world.server(ran).vm_state == VmState.ACTIVE


@pytest.mark.parametrize(
    ("vm_state", "power", "fate"),
    [
        (VmState.RESCUED, PowerState.RUNNING, "run"),
        (VmState.RESIZED, PowerState.RUNNING, "run"),
        (VmState.RESIZED, PowerState.SHUTDOWN, None),
        (VmState.SHELVED, PowerState.SHUTDOWN, None),
        (VmState.PAUSED, PowerState.PAUSED, None),
    ],
)
def test_what_ran_in_any_state_runs_again_and_nothing_else(
    world: ComputeWorld, vm_state: VmState, power: PowerState, fate: str | None
) -> None:
    server_id = world.a_booted_server(wanted_zone="nova:sim-1")
    world.change(server_id, vm_state=vm_state, power_state=power)
    world.hosts["sim-1"].happen(server_id, PowerState.SHUTDOWN)

    assert compared(world, "sim-1", after_boot=True) == ({server_id: fate} if fate else {})

    paused = vm_state is VmState.PAUSED  # its memory is gone
    assert world.server(server_id).vm_state == (VmState.STOPPED if paused else vm_state)
    assert not paused or messages(world, server_id)[0] == "The guest was off after its host was restarted"


def messages(world: ComputeWorld, server_id: UUID) -> list[str | None]:
    """Of its timeline, newest first."""
    with world.database.reading() as session:
        sagas = Sagas(session, SAGAS)
        events = [sagas.events_of([row.id]) for row in sagas.of_resource(server_id)]
        return [event.message for found in events for event in found]


def test_a_guest_that_something_is_done_to_waits_for_its_restart(world: ComputeWorld) -> None:
    server_id, image_id = world.a_booted_server(wanted_zone="nova:sim-1"), world.gallery.make()
    world.begin(SNAPSHOT_SERVER, SnapshotServer(server_id=server_id, image_id=image_id))
    world.hosts["sim-1"].happen(server_id, PowerState.SHUTDOWN)
    (world.directory / "sim-1.boot").write_text("another boot")

    world.reconcile()
    assert world.hosts["sim-1"].state(server_id) is PowerState.SHUTDOWN
    world.engine.run_due()
    world.reconcile()

    assert world.hosts["sim-1"].state(server_id) is PowerState.RUNNING
    assert world.server(server_id).vm_state == VmState.ACTIVE
    assert messages(world, server_id)[0] == "The guest was started again after its host was restarted"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (VmState.ACTIVE, VmState.ERROR),
        (VmState.RESCUED, VmState.RESCUED),
        (VmState.RESIZED, VmState.RESIZED),
        (VmState.STOPPED, VmState.STOPPED),
    ],
)
def test_a_guest_that_could_not_be_started_again_shows_so_and_why(
    world: ComputeWorld, before: VmState, after: VmState
) -> None:
    server_id = world.a_booted_server()
    power = PowerState.SHUTDOWN if before is VmState.STOPPED else PowerState.RUNNING
    world.change(server_id, vm_state=before, power_state=power)
    world.clock.advance(30)
    host, off = world.server(server_id).host or "", PowerState.SHUTDOWN
    call = GuestChanged(host=host, server_id=server_id, power_state=off, at=world.clock.now(), failure="no such disk")

    for _ in range(2):
        world.bus.call(call)

    server = world.server(server_id)
    assert (server.vm_state, server.power_state) == (after, PowerState.SHUTDOWN)
    why = "The guest could not be started again after its host was restarted: no such disk"
    assert messages(world, server_id).count(why) == (0 if before is VmState.STOPPED else 1)
    assert (after is VmState.ERROR) == (server.fault is not None and server.fault["message"] == why)


def test_a_guest_that_ended_unheard_is_found_by_comparison(world: ComputeWorld) -> None:
    server_id = world.a_booted_server(wanted_zone="nova:sim-1")
    world.hosts["sim-1"].happen(server_id, PowerState.SHUTDOWN)

    compared(world, "sim-1")

    assert world.server(server_id).vm_state == VmState.STOPPED


def test_a_missing_guest_is_asked_for_again_before_it_counts_as_lost(world: ComputeWorld) -> None:
    server_id = world.a_booted_server(wanted_zone="nova:sim-1")
    world.hosts["sim-1"].destroy(server_id)

    fates = compared(world, "sim-1")

    assert fates == {server_id: "keep"} and world.server(server_id).vm_state == VmState.ACTIVE
    world.reconcile()
    assert world.server(server_id).vm_state == VmState.ERROR


# ---------------------------------------------------------------- hosts


def test_an_unknown_host_is_asked_to_register(world: ComputeWorld) -> None:
    known = world.bus.call(HostAlive(host="sim-1", at=world.clock.now()))
    unknown = world.bus.call(HostAlive(host="sim-9", at=world.clock.now()))

    assert (known, unknown) == (True, False)


def test_a_heartbeat_keeps_a_host_up(world: ComputeWorld) -> None:
    world.clock.listeners.clear()
    world.clock.advance(59)
    world.bus.call(HostAlive(host="sim-1", at=world.clock.now()))
    world.clock.advance(2)

    with world.database.reading() as session:
        up = [name for name in world.hosts if Hosts(session).is_up(name, seen_after=world.kit.seen_after())]

    assert up == ["sim-1"]


def test_registering_twice_gives_the_same_id(world: ComputeWorld) -> None:
    facts = world.hosts["sim-1"].facts()

    ids = {world.bus.call(RegisterHost(facts=facts)) for _ in range(3)}

    assert len(ids) == 1


def test_copies_that_no_saga_is_at_work_with_are_removed(world: ComputeWorld) -> None:
    idle, at_work = world.a_booted_server(), world.a_booted_server()
    world.begin(STOP_SERVER, StopServer(server_id=at_work))
    fates: dict[UUID, str] = {}

    for host in world.hosts:
        call = CompareGuests(host=host, guests=world.hosts[host].guests(), copied=[idle, at_work], at=world.clock.now())
        fates |= {fate.server_id: fate.fate for fate in world.bus.call(call)}

    assert fates == {idle: "tidy"}
