"""The harness over every saga: at each step each trouble, and nothing stuck, lost or left over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from common.saga.saga import Saga
from common.saga.store import Sagas
from services.compute.core.states import VmState
from services.compute.db.tables import SAGAS as SAGA_TABLES
from services.compute.db.tables import MigrationRow
from services.compute.sagas import (
    BACKUP_SERVER,
    BOOT_SERVER,
    CONFIRM_RESIZE,
    CRASH_SERVER,
    DELETE_SERVER,
    OFFLOAD_SERVER,
    PAUSE_SERVER,
    REBOOT_SERVER,
    REBUILD_SERVER,
    REMOVE_IMAGE,
    RESCUE_SERVER,
    RESIZE_SERVER,
    RESTORE_SERVER,
    RESUME_SERVER,
    REVERT_RESIZE,
    SAGAS,
    SHELVE_SERVER,
    SNAPSHOT_SERVER,
    SOFT_DELETE_SERVER,
    START_SERVER,
    STOP_SERVER,
    SUSPEND_SERVER,
    UNPAUSE_SERVER,
    UNRESCUE_SERVER,
    UNSHELVE_SERVER,
    BackupServer,
    BootServer,
    DeleteServer,
    OffloadServer,
    RebootServer,
    RebuildServer,
    RemoveImage,
    RescueServer,
    ResizeServer,
    ShelveServer,
    SnapshotServer,
    StartServer,
    StopServer,
    UnrescueServer,
    UnshelveServer,
)
from services.compute.sagas.guest_spec import image_of
from services.compute.sagas.kit import Rules
from tests.harness.compute import FLAVOR, ComputeWorld
from tests.harness.sagas import Case, Trouble, cases, prove

pytestmark = pytest.mark.slow

NEVER_FAILS = (
    Trouble.NONE,
    Trouble.CRASH_BEFORE,
    Trouble.CRASH_AFTER,
    Trouble.TWICE,
    Trouble.LOST_REPLY,
    Trouble.PAUSE,
)


@pytest.mark.parametrize("case", cases(BOOT_SERVER), ids=str)
def test_a_boot_ends_with_a_running_guest_or_with_nothing(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_server()

    ended = prove(world, BOOT_SERVER, BootServer(server_id=server_id), case)

    assert (ended == "done") == (world.server(server_id).vm_state == VmState.ACTIVE)
    assert ended != "done" or world.has_its_disks(server_id)
    if case.trouble in NEVER_FAILS and not case.is_undo:
        assert ended == "done"


@pytest.mark.parametrize("case", cases(DELETE_SERVER), ids=str)
def test_a_delete_leaves_nothing(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="deleting")

    ended = prove(world, DELETE_SERVER, DeleteServer(server_id=server_id), case, repaired=True)

    if case.trouble in NEVER_FAILS or case.step == "guest":
        assert ended == "done" and world.server(server_id).vm_state == VmState.DELETED


@pytest.mark.parametrize("case", cases(STOP_SERVER), ids=str)
def test_a_stop_leaves_the_server_as_its_guest_is(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="powering-off")

    ended = prove(world, STOP_SERVER, StopServer(server_id=server_id), case, repaired=True)

    if case.trouble in NEVER_FAILS:
        assert ended == "done" and world.server(server_id).vm_state == VmState.STOPPED


@pytest.mark.parametrize("case", cases(START_SERVER), ids=str)
def test_a_start_leaves_the_server_as_its_guest_is(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_booted_server()
    world.do(STOP_SERVER, StopServer(server_id=server_id))
    world.change(server_id, task_state="powering-on")

    ended = prove(world, START_SERVER, StartServer(server_id=server_id), case, repaired=True)

    if case.trouble in NEVER_FAILS:
        assert ended == "done" and world.server(server_id).vm_state == VmState.ACTIVE


@pytest.mark.parametrize("is_hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("case", cases(REBOOT_SERVER), ids=str)
def test_a_reboot_leaves_a_running_server(world: ComputeWorld, case: Case, is_hard: bool) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="rebooting")

    prove(world, REBOOT_SERVER, RebootServer(server_id=server_id, is_hard=is_hard), case, repaired=True)

    assert world.server(server_id).vm_state == VmState.ACTIVE


# fmt: off
HELD: tuple[tuple[Saga[Any], Saga[Any] | None, VmState], ...] = (
    # saga              what was done before  state that it leaves
    (PAUSE_SERVER,       None,                VmState.PAUSED),
    (UNPAUSE_SERVER,     PAUSE_SERVER,        VmState.ACTIVE),
    (SUSPEND_SERVER,     None,                VmState.SUSPENDED),
    (RESUME_SERVER,      SUSPEND_SERVER,      VmState.ACTIVE),
    (SOFT_DELETE_SERVER, None,                VmState.SOFT_DELETED),
    (RESTORE_SERVER,     SOFT_DELETE_SERVER,  VmState.ACTIVE),
    (CRASH_SERVER,       None,                VmState.ACTIVE),
)
# fmt: on


@pytest.mark.parametrize(
    ("saga", "before", "state", "case"),
    [pytest.param(*one, case, id=f"{one[0].name} {case}") for one in HELD for case in cases(one[0])],
)
def test_a_server_that_is_held_or_goes_on_is_as_its_guest_is(
    world: ComputeWorld, saga: Saga[Any], before: Saga[Any] | None, state: VmState, case: Case
) -> None:
    server_id = world.a_booted_server()
    if before is not None:
        world.do(before, before.params(server_id=server_id))
    if saga is not CRASH_SERVER:
        world.change(server_id, task_state="at-work")

    ended = prove(world, saga, saga.params(server_id=server_id), case, repaired=True)

    if case.trouble in NEVER_FAILS:
        assert ended == "done" and world.server(server_id).vm_state == state


@pytest.mark.parametrize("was_off", [False, True], ids=["running", "off"])
@pytest.mark.parametrize("case", cases(REBUILD_SERVER), ids=str)
def test_a_rebuild_leaves_a_new_guest_or_says_why_not(world: ComputeWorld, case: Case, was_off: bool) -> None:
    server_id = world.a_booted_server()
    if was_off:
        world.do(STOP_SERVER, StopServer(server_id=server_id))
    world.change(server_id, task_state="rebuilding", admin_password="new")

    ended = prove(world, REBUILD_SERVER, RebuildServer(server_id=server_id, was_off=was_off), case, repaired=True)

    expected = VmState.STOPPED if was_off else VmState.ACTIVE
    assert world.server(server_id).vm_state == (expected if ended == "done" else VmState.ERROR)
    assert world.has_its_disks(server_id)
    if case.trouble in NEVER_FAILS:
        assert ended == "done"


LARGER = dict(FLAVOR) | {
    "id": "2",
    "name": "m1.small",
    "vcpus": 2,
    "memory_mib": 2048,
    "root_gib": 2,
    "ephemeral_gib": 2,
    "swap_mib": 0,
}


def a_resize(server_id: UUID, **changes: Any) -> ResizeServer:
    return ResizeServer.model_validate({"server_id": server_id, "flavor": LARGER} | changes)


@pytest.mark.parametrize("was_on", [True, False], ids=["running", "off"])
@pytest.mark.parametrize("case", cases(RESIZE_SERVER), ids=str)
def test_a_resize_ends_larger_or_as_it_was(world: ComputeWorld, case: Case, was_on: bool) -> None:
    server_id = world.a_booted_server()
    if not was_on:
        world.do(STOP_SERVER, StopServer(server_id=server_id))
    world.change(server_id, task_state="resize_migrating")

    ended = prove(world, RESIZE_SERVER, a_resize(server_id, was_on=was_on), case, repaired=True)

    server = world.server(server_id)
    assert (server.vm_state == VmState.RESIZED) == (ended == "done")
    assert server.flavor["name"] == ("m1.small" if ended == "done" else "m1.tiny")
    assert world.has_its_disks(server_id)
    if case.trouble in NEVER_FAILS and not case.is_undo:
        assert ended == "done"


ENDS_OF_A_RESIZE = [(saga, case) for saga in (CONFIRM_RESIZE, REVERT_RESIZE) for case in cases(saga)]


@pytest.mark.parametrize(("saga", "case"), ENDS_OF_A_RESIZE, ids=lambda one: str(getattr(one, "name", one)))
def test_a_resize_is_kept_or_taken_back(world: ComputeWorld, saga: Saga[Any], case: Case) -> None:
    server_id = world.a_booted_server()
    world.do(RESIZE_SERVER, a_resize(server_id))
    world.change(server_id, task_state="at-work")

    ended = prove(world, saga, saga.params(server_id=server_id), case, repaired=True)

    if ended == "done":
        server = world.server(server_id)
        assert (server.vm_state, server.before) == (VmState.ACTIVE, None)
        assert server.flavor["name"] == ("m1.small" if saga is CONFIRM_RESIZE else "m1.tiny")
        assert world.has_its_disks(server_id)
    elif case.trouble in NEVER_FAILS and not case.is_undo:
        raise AssertionError(f"it ended {ended}")


@pytest.mark.parametrize("case", cases(RESCUE_SERVER), ids=str)
def test_a_rescue_starts_from_another_disk_or_leaves_all_as_it_was(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="rescuing", admin_password="new")
    image = image_of(world.server(server_id))

    ended = prove(world, RESCUE_SERVER, RescueServer(server_id=server_id, image=image), case, repaired=True)

    assert world.server(server_id).vm_state == (VmState.RESCUED if ended == "done" else VmState.ACTIVE)
    if case.trouble in NEVER_FAILS and not case.is_undo:
        assert ended == "done"


@pytest.mark.parametrize("case", cases(UNRESCUE_SERVER), ids=str)
def test_an_unrescued_server_runs_from_its_own_disk(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_booted_server()
    world.do(RESCUE_SERVER, RescueServer(server_id=server_id, image=image_of(world.server(server_id))))
    world.change(server_id, task_state="unrescuing")

    ended = prove(world, UNRESCUE_SERVER, UnrescueServer(server_id=server_id), case, repaired=True)

    if case.trouble in NEVER_FAILS:
        assert ended == "done" and world.server(server_id).vm_state == VmState.ACTIVE


# ---------------------------------------------------------------- images of servers


@pytest.mark.parametrize("case", cases(SNAPSHOT_SERVER), ids=str)
def test_a_snapshot_is_an_active_image_or_none(world: ComputeWorld, case: Case) -> None:
    server_id, image_id = world.a_booted_server(), world.gallery.make()
    if case.trouble in (Trouble.NONE, Trouble.TWICE):
        world.do(STOP_SERVER, StopServer(server_id=server_id))
    state = world.server(server_id).vm_state
    world.change(server_id, task_state="image_snapshot_pending")

    ended = prove(world, SNAPSHOT_SERVER, SnapshotServer(server_id=server_id, image_id=image_id), case, repaired=True)

    assert world.server(server_id).vm_state == state
    assert (ended == "done") == (image_id in world.gallery.made)
    if case.trouble in NEVER_FAILS and not case.is_undo:
        assert ended == "done"


@pytest.mark.parametrize("case", cases(BACKUP_SERVER), ids=str)
def test_a_backup_keeps_as_many_as_it_may_or_takes_none_away(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_booted_server()
    kind = {"image_type": "backup", "backup_type": "daily", "instance_uuid": str(server_id)}
    old, older_than_that = (world.gallery.make(status="active", properties=kind) for _ in range(2))
    strangers = world.gallery.make(status="active", properties=kind, owner="another project")
    new = world.gallery.make(properties=kind)
    world.change(server_id, task_state="image_backup")
    params = BackupServer(server_id=server_id, image_id=new, backup_type="daily", rotation=2)

    ended = prove(world, BACKUP_SERVER, params, case, repaired=True)

    left = set(world.gallery.made)
    assert strangers in left
    if case.is_undo or ended != "done":
        assert new not in left and older_than_that in left
    else:
        assert left - {strangers} in ({older_than_that, new}, {old, older_than_that, new})
    if case.trouble in NEVER_FAILS and not case.is_undo:
        assert left - {strangers} == {older_than_that, new}


def never_offloads(world: ComputeWorld) -> None:
    world.kit = replace(world.kit, rules=Rules(shelved_offload_s=-1))
    world.engine = world._engine()


def a_shelved_server(world: ComputeWorld) -> UUID:
    """Its guest is off, and still on its host."""
    never_offloads(world)
    server_id = world.a_booted_server()
    server = world.do(SHELVE_SERVER, ShelveServer(server_id=server_id, image_id=world.gallery.make()))
    assert (server.vm_state, server.task_state) == (VmState.SHELVED, None)
    return server_id


@pytest.mark.parametrize("case", cases(SHELVE_SERVER), ids=str)
def test_a_server_is_shelved_with_its_image_or_is_as_it_was(world: ComputeWorld, case: Case) -> None:
    never_offloads(world)
    server_id, image_id = world.a_booted_server(), world.gallery.make()
    if was_off := case.trouble in (Trouble.NONE, Trouble.CRASH_AFTER):
        world.do(STOP_SERVER, StopServer(server_id=server_id))
    if was_paused := case.trouble in (Trouble.ERROR, Trouble.CRASH_BEFORE):
        world.do(PAUSE_SERVER, PAUSE_SERVER.params(server_id=server_id))
    state = world.server(server_id).vm_state
    world.change(server_id, task_state="shelving")
    was_on = not was_off and not was_paused
    params = ShelveServer(server_id=server_id, image_id=image_id, was_on=was_on, was_paused=was_paused)

    ended = prove(world, SHELVE_SERVER, params, case, repaired=True)

    assert world.server(server_id).vm_state == (VmState.SHELVED if ended == "done" else state)
    assert (ended == "done") == (image_id in world.gallery.made)
    if case.trouble in NEVER_FAILS and not case.is_undo:
        assert ended == "done"


@pytest.mark.parametrize("case", cases(OFFLOAD_SERVER), ids=str)
def test_an_offloaded_server_holds_nothing_of_its_host(world: ComputeWorld, case: Case) -> None:
    server_id = a_shelved_server(world)
    world.change(server_id, task_state="shelving_offloading")

    prove(world, OFFLOAD_SERVER, OffloadServer(server_id=server_id), case, repaired=True)

    server = world.server(server_id)
    assert (server.vm_state, server.host) == (VmState.SHELVED_OFFLOADED, None)
    assert world.claims() == {} and world.guests() == {}


@pytest.mark.parametrize("in_place", [False, True], ids=["offloaded", "on its host"])
@pytest.mark.parametrize("case", cases(UNSHELVE_SERVER), ids=str)
def test_an_unshelved_server_runs_or_stays_shelved(world: ComputeWorld, case: Case, in_place: bool) -> None:
    server_id = a_shelved_server(world)
    if not in_place:
        world.do(OFFLOAD_SERVER, OffloadServer(server_id=server_id))
    shelved = world.server(server_id).vm_state
    world.change(server_id, task_state="unshelving")

    ended = prove(world, UNSHELVE_SERVER, UnshelveServer(server_id=server_id, in_place=in_place), case, repaired=True)
    world.engine.run_due()

    assert world.server(server_id).vm_state == (VmState.ACTIVE if ended == "done" else shelved)
    assert (ended == "done") == (world.gallery.made == {})
    assert ended != "done" or world.has_its_disks(server_id)
    if case.trouble in NEVER_FAILS and not case.is_undo:
        assert ended == "done"


@pytest.mark.parametrize("case", cases(REMOVE_IMAGE), ids=str)
def test_an_image_that_nobody_needs_is_removed(world: ComputeWorld, case: Case) -> None:
    image_id = world.gallery.make(status="active")

    prove(world, REMOVE_IMAGE, RemoveImage(image_id=image_id), case, resource_id=image_id)

    assert case.trouble not in NEVER_FAILS or world.gallery.made == {}


def test_a_shelved_server_leaves_its_host_at_once_by_default_and_its_image_with_its_end(world: ComputeWorld) -> None:
    server_id, image_id = world.a_booted_server(), world.gallery.make()

    world.do(SHELVE_SERVER, ShelveServer(server_id=server_id, image_id=image_id))
    world.engine.run_due()
    assert world.server(server_id).vm_state == VmState.SHELVED_OFFLOADED
    assert world.gallery.status(image_id) == "active" and world.disagreements() == []
    world.do(DELETE_SERVER, DeleteServer(server_id=server_id))
    world.engine.run_due()

    assert world.gallery.made == {} and world.disagreements() == []


def test_an_unshelve_whose_image_is_gone_says_so_and_changes_nothing(world: ComputeWorld) -> None:
    server_id = a_shelved_server(world)
    world.do(OFFLOAD_SERVER, OffloadServer(server_id=server_id))
    world.gallery.made.clear()
    world.change(server_id, task_state="unshelving")

    server = world.do(UNSHELVE_SERVER, UnshelveServer(server_id=server_id))

    assert (server.vm_state, server.task_state, server.host) == (VmState.SHELVED_OFFLOADED, None, None)
    assert world.disagreements() == []


def test_a_delete_in_the_middle_of_a_snapshot_ends_both(world: ComputeWorld) -> None:
    server_id, image_id = world.a_booted_server(), world.gallery.make()
    world.begin(SNAPSHOT_SERVER, SnapshotServer(server_id=server_id, image_id=image_id))
    [copying] = world.engine.claim_due(1)

    with world.database.transaction() as session:
        Sagas(session, SAGA_TABLES).cancel(server_id)
    world.change(server_id, task_state="deleting")
    world.begin(DELETE_SERVER, DeleteServer(server_id=server_id))
    world.engine.advance(copying)
    world.engine.run_due()

    assert world.server(server_id).vm_state == VmState.DELETED
    assert world.gallery.made == {} and world.disagreements() == []


def test_a_resize_that_the_host_has_no_room_for_changes_nothing(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="resize_migrating")

    server = world.do(RESIZE_SERVER, a_resize(server_id, flavor=LARGER | {"memory_mib": 99_000}))

    assert (server.vm_state, server.task_state, server.flavor["name"]) == (VmState.ACTIVE, None, "m1.tiny")
    assert world.disagreements() == []


def test_each_saga_is_here() -> None:
    proved: list[Saga[Any]] = [
        BOOT_SERVER,
        DELETE_SERVER,
        STOP_SERVER,
        START_SERVER,
        REBOOT_SERVER,
        REBUILD_SERVER,
        RESIZE_SERVER,
        CONFIRM_RESIZE,
        REVERT_RESIZE,
        RESCUE_SERVER,
        UNRESCUE_SERVER,
        SNAPSHOT_SERVER,
        BACKUP_SERVER,
        SHELVE_SERVER,
        OFFLOAD_SERVER,
        UNSHELVE_SERVER,
        REMOVE_IMAGE,
        *(one[0] for one in HELD),
    ]

    assert {saga.name for saga in proved} == set(SAGAS)


@pytest.mark.parametrize(("saga", "status"), [(CONFIRM_RESIZE, "confirmed"), (REVERT_RESIZE, "reverted")])
def test_a_resize_is_a_migration_from_begin_to_end(world: ComputeWorld, saga: Saga[Any], status: str) -> None:
    server_id = world.a_booted_server()

    world.do(RESIZE_SERVER, a_resize(server_id))
    [resized] = moves(world)
    world.do(saga, saga.params(server_id=server_id))
    [ended] = moves(world)

    assert (resized.kind, resized.status, resized.server_id) == ("resize", "finished", server_id)
    assert (ended.id, ended.status) == (resized.id, status)


def test_a_resize_that_failed_and_a_server_that_is_gone_leave_no_migration_open(world: ComputeWorld) -> None:
    server_id = world.a_booted_server()
    world.do(RESIZE_SERVER, a_resize(server_id, flavor=LARGER | {"memory_mib": 99_000}))
    world.do(RESIZE_SERVER, a_resize(server_id))

    world.do(DELETE_SERVER, DeleteServer(server_id=server_id))

    assert "migrating" not in {one.status for one in moves(world)}
    assert moves(world)[-1].status == "confirmed"


def moves(world: ComputeWorld) -> list[MigrationRow]:
    with world.database.reading() as session:
        return list(session.scalars(select(MigrationRow).order_by(MigrationRow.number)))
