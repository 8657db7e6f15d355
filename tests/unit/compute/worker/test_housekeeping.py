from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from services.compute.core.states import VmState
from services.compute.db.tables import SAGAS, ServerRow, ServiceRow
from services.compute.sagas import (
    BOOT_SERVER,
    DELETE_SERVER,
    RESIZE_SERVER,
    SHELVE_SERVER,
    SOFT_DELETE_SERVER,
    BootServer,
    DeleteServer,
    ResizeServer,
    ShelveServer,
    SoftDeleteServer,
)
from services.compute.sagas.kit import Kit, Rules
from services.compute.worker.housekeeping import Hearing, Housekeeping
from tests.harness.compute import FLAVOR, ComputeWorld


def a_housekeeping(world: ComputeWorld, *, keep_days: float = 30) -> Housekeeping:
    return Housekeeping(world.kit, Hearing(), timedelta(days=keep_days), host="control-1")


def test_the_worker_shows_as_conductor_and_scheduler(world: ComputeWorld) -> None:
    for _ in range(2):
        a_housekeeping(world).beat()

    with world.database.reading() as session:
        rows = session.execute(select(ServiceRow.binary, ServiceRow.zone).where(ServiceRow.host == "control-1")).all()
    assert sorted(tuple(row) for row in rows) == [("nova-conductor", "internal"), ("nova-scheduler", "internal")]


def test_a_claim_without_a_server_is_released(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    with world.database.transaction() as session:
        session.execute(update(ServerRow).where(ServerRow.id == server_id).values(deleted_at=world.clock.now()))

    a_housekeeping(world).tidy()

    assert world.claims() == {}


def test_a_claim_of_a_running_boot_is_left_alone(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()

    a_housekeeping(world).tidy()

    assert server_id in world.claims()


def test_a_server_that_nothing_is_at_work_on_goes_into_error(world: ComputeWorld) -> None:
    abandoned, at_work = world.a_booted_server(), world.a_server()
    world.change(abandoned, task_state="powering-off")
    world.begin(BOOT_SERVER, BootServer(server_id=at_work))
    world.clock.advance(600)

    a_housekeeping(world).tidy()

    server = world.server(abandoned)
    assert (server.vm_state, server.task_state) == (VmState.ERROR, None)
    assert "powering-off" in str(server.fault)
    assert world.server(at_work).vm_state == VmState.BUILDING


def test_what_was_softly_deleted_goes_when_nobody_wanted_it_back_in_time(world: ComputeWorld) -> None:
    world.kit = replace(world.kit, rules=Rules(reclaim_after_s=3600))
    server_id = world.a_booted_server()
    world.do(SOFT_DELETE_SERVER, SoftDeleteServer(server_id=server_id))

    world.clock.advance(3000)
    a_housekeeping(world).tidy()
    assert world.server(server_id).task_state is None
    world.clock.advance(601)
    a_housekeeping(world).tidy()
    world.engine.run_due()

    assert world.server(server_id).vm_state == VmState.DELETED
    assert world.disagreements() == []


def test_a_resize_that_nobody_confirmed_in_time_is_confirmed(world: ComputeWorld) -> None:
    world.kit = replace(world.kit, rules=Rules(resize_confirm_window_s=60))
    server_id = world.a_booted_server()
    larger = dict(FLAVOR) | {"id": "2", "name": "m1.small", "memory_mib": 1024}
    world.do(RESIZE_SERVER, ResizeServer(server_id=server_id, flavor=larger))

    world.clock.advance(61)
    a_housekeeping(world).tidy()
    world.engine.run_due()

    server = world.server(server_id)
    assert (server.vm_state, server.flavor["name"], server.before) == (VmState.ACTIVE, "m1.small", None)
    assert world.disagreements() == []


def test_a_shelved_server_leaves_its_host_when_its_time_is_over(world: ComputeWorld) -> None:
    world.kit = replace(world.kit, rules=Rules(shelved_offload_s=3600))
    world.engine = world._engine()
    server_id = world.a_booted_server()
    world.do(SHELVE_SERVER, ShelveServer(server_id=server_id, image_id=world.gallery.make()))

    a_housekeeping(world).tidy()
    world.engine.run_due()
    assert world.server(server_id).vm_state == VmState.SHELVED
    world.clock.advance(3601)
    a_housekeeping(world).tidy()
    world.engine.run_due()

    assert (world.server(server_id).vm_state, world.guests()) == (VmState.SHELVED_OFFLOADED, {})
    assert world.disagreements() == []


def test_what_is_old_is_forgotten(world: ComputeWorld) -> None:
    old, recent = world.a_booted_server(), world.a_booted_server()
    world.do(DELETE_SERVER, DeleteServer(server_id=old))
    world.clock.advance(10 * 86_400)
    world.do(DELETE_SERVER, DeleteServer(server_id=recent))

    a_housekeeping(world, keep_days=5).tidy()

    with world.database.reading() as session:
        assert list(session.scalars(select(ServerRow.id))) == [recent]
        assert set(session.scalars(select(SAGAS.sagas.resource_id))) == {recent}


def test_after_being_deaf_hosts_have_time_to_be_heard(world: ComputeWorld) -> None:
    deaf: list[datetime] = []
    world.bus.deaf_since = lambda: deaf[0] if deaf else None  # type: ignore[method-assign]
    hearing = Hearing(since=world.clock.now())
    kit = Kit(world.database, world.bus, world.rules, world.clock.now, hears_since=lambda: hearing.since)
    world.clock.listeners.clear()
    world.clock.advance(3600)

    while_hearing = kit.is_down("sim-1")
    deaf.append(world.clock.now())
    hearing.look(kit)
    while_deaf = kit.is_down("sim-1")
    deaf.clear()
    world.clock.advance(600)
    hearing.look(kit)
    just_back = kit.is_down("sim-1")
    world.clock.advance(21)
    hearing.look(kit)
    long_back = kit.is_down("sim-1")

    assert (while_hearing, while_deaf, just_back, long_back) == (True, False, False, True)


@pytest.mark.parametrize("is_deleted", [False, True], ids=["kept", "deleted"])
def test_a_server_whose_order_nobody_can_read_says_so_and_can_be_deleted(world: ComputeWorld, is_deleted: bool) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="deleting" if is_deleted else "powering-off")
    keeper = Housekeeping(world.kit, Hearing(), timedelta(days=1))
    with world.database.transaction() as session:
        keeper.give_up(session, server_id, "nobody can read it")
    told = world.server(server_id)

    ended = world.do(DELETE_SERVER, DeleteServer(server_id=server_id))

    assert ended.vm_state == VmState.DELETED
    if is_deleted:
        assert (told.vm_state, told.fault) == (VmState.ACTIVE, None)
    else:
        assert (told.vm_state, told.task_state) == (VmState.ERROR, None)
        assert told.fault is not None and told.fault["message"] == "nobody can read it"
