"""The harness over every saga: at each step each trouble, and nothing stuck, lost or left over."""

from __future__ import annotations

from typing import Any

import pytest

from common.saga.saga import Saga
from services.compute.core.states import VmState
from services.compute.sagas import (
    BOOT_SERVER,
    CRASH_SERVER,
    DELETE_SERVER,
    PAUSE_SERVER,
    REBOOT_SERVER,
    REBUILD_SERVER,
    RESTORE_SERVER,
    RESUME_SERVER,
    SAGAS,
    SOFT_DELETE_SERVER,
    START_SERVER,
    STOP_SERVER,
    SUSPEND_SERVER,
    UNPAUSE_SERVER,
    BootServer,
    DeleteServer,
    RebootServer,
    RebuildServer,
    StartServer,
    StopServer,
)
from tests.harness.compute import ComputeWorld
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


def test_each_saga_is_here() -> None:
    proved: list[Saga[Any]] = [
        BOOT_SERVER,
        DELETE_SERVER,
        STOP_SERVER,
        START_SERVER,
        REBOOT_SERVER,
        REBUILD_SERVER,
        *(one[0] for one in HELD),
    ]

    assert {saga.name for saga in proved} == set(SAGAS)
