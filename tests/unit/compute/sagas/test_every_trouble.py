"""The harness over every saga: at each step each trouble, and nothing stuck, lost or left over."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from common.saga.saga import Saga
from services.compute.core.states import VmState
from services.compute.sagas import (
    BOOT_SERVER,
    CONFIRM_RESIZE,
    CRASH_SERVER,
    DELETE_SERVER,
    PAUSE_SERVER,
    REBOOT_SERVER,
    REBUILD_SERVER,
    RESCUE_SERVER,
    RESIZE_SERVER,
    RESTORE_SERVER,
    RESUME_SERVER,
    REVERT_RESIZE,
    SAGAS,
    SOFT_DELETE_SERVER,
    START_SERVER,
    STOP_SERVER,
    SUSPEND_SERVER,
    UNPAUSE_SERVER,
    UNRESCUE_SERVER,
    BootServer,
    DeleteServer,
    RebootServer,
    RebuildServer,
    RescueServer,
    ResizeServer,
    StartServer,
    StopServer,
    UnrescueServer,
)
from services.compute.sagas.guest_spec import image_of
from tests.harness.compute import FLAVOR, ComputeWorld
from tests.harness.sagas import MASKING, Case, Trouble, cases, prove

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
    late = VmState.ACTIVE if case.trouble in MASKING else expected  # what a stalled worker did afterwards was noted
    assert world.server(server_id).vm_state in ((expected, late) if ended == "done" else (VmState.ERROR,))
    if case.trouble in NEVER_FAILS:
        assert ended == "done"


LARGER = dict(FLAVOR) | {"id": "2", "name": "m1.small", "vcpus": 2, "memory_mib": 2048, "root_gib": 2}


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
    elif case.trouble in NEVER_FAILS and not case.is_undo:
        raise AssertionError(f"it ended {ended}")


@pytest.mark.parametrize("case", cases(RESCUE_SERVER), ids=str)
def test_a_rescue_starts_from_another_disk_or_leaves_all_as_it_was(world: ComputeWorld, case: Case) -> None:
    server_id = world.a_booted_server()
    world.change(server_id, task_state="rescuing", admin_password="new")
    image = image_of(world.server(server_id))

    ended = prove(world, RESCUE_SERVER, RescueServer(server_id=server_id, image=image), case, repaired=True)

    left = (VmState.ACTIVE, VmState.STOPPED) if case.trouble in MASKING else (VmState.ACTIVE,)
    assert world.server(server_id).vm_state in ((VmState.RESCUED,) if ended == "done" else left)
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
        *(one[0] for one in HELD),
    ]

    assert {saga.name for saga in proved} == set(SAGAS)
