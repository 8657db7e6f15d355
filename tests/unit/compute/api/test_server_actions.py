"""Power, reboot and console."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from services.compute.core.states import RULES, Action, VmState
from tests.unit.compute.api.world import ALICE, READER, World

BODIES: dict[Action, Any] = {
    Action.START: {"os-start": None},
    Action.STOP: {"os-stop": None},
    Action.REBOOT: {"reboot": {"type": "SOFT"}},
    Action.REBOOT_HARD: {"reboot": {"type": "HARD"}},
    Action.PAUSE: {"pause": None},
    Action.UNPAUSE: {"unpause": None},
    Action.SUSPEND: {"suspend": None},
    Action.RESUME: {"resume": None},
    Action.RESTORE: {"restore": None},
    Action.REBUILD: {"rebuild": {"imageRef": None}},
    Action.CRASH_DUMP: {"trigger_crash_dump": None},
    Action.RESIZE: {"resize": {"flavorRef": "2"}},
    Action.CONFIRM_RESIZE: {"confirmResize": None},
    Action.REVERT_RESIZE: {"revertResize": None},
    Action.RESCUE: {"rescue": None},
    Action.UNRESCUE: {"unrescue": None},
    Action.CREATE_IMAGE: {"createImage": {"name": "snapshot"}},
    Action.CREATE_BACKUP: {"createBackup": {"name": "backup", "backup_type": "daily", "rotation": 1}},
    Action.SHELVE: {"shelve": None},
    Action.SHELVE_OFFLOAD: {"shelveOffload": None},
    Action.UNSHELVE: {"unshelve": None},
}
FOR_ADMINISTRATORS = (Action.SHELVE_OFFLOAD,)
STATES = [state for state in VmState if state is not VmState.DELETED]


def filled(body: dict[str, Any], world: World) -> dict[str, Any]:
    """With an image where one is asked for."""
    [(name, options)] = body.items()
    if isinstance(options, dict) and "imageRef" in options:
        options = options | {"imageRef": str(world.gallery.add().id)}
    return {name: options}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", list(BODIES))
def test_an_action_is_admitted_in_the_states_of_its_rule(world: World, action: Action, state: VmState) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state=str(state))
    if action is Action.RESIZE:
        world.flavor("2", disk=2)

    client = world.admin("2.104") if action in FOR_ADMINISTRATORS else world.at("2.104")
    answer = client.post(f"/v2.1/servers/{server_id}/action", json=filled(BODIES[action], world))

    rule, row = RULES[action], world.row(server_id)
    if state in rule.needs:
        assert answer.status_code == {Action.CONFIRM_RESIZE: 204, Action.RESCUE: 200}.get(action, 202)
        assert (row.vm_state, row.task_state) == (state, rule.task)
        assert [saga.kind for saga in world.sagas(server_id)] == ["boot_server", rule.saga]
    else:
        sentence = f"Cannot '{action.word}' instance {server_id} while it is in vm_state {state}"
        assert answer.json() == {"conflictingRequest": {"code": 409, "message": sentence}}
        assert row.task_state is None


def test_a_server_that_is_busy_takes_no_other_action(world: World) -> None:
    server_id = world.active_server()
    world.alice.post(f"/v2.1/servers/{server_id}/action", json={"os-stop": None})

    again = world.alice.post(f"/v2.1/servers/{server_id}/action", json={"os-stop": None})

    message = f"Cannot 'stop' instance {server_id} while it is in task_state powering-off"
    assert again.json() == {"conflictingRequest": {"code": 409, "message": message}}


def test_what_was_never_on_a_host_cannot_be_powered(world: World) -> None:
    server_id = world.server()
    world.become(server_id, vm_state="error", task_state=None)

    answer = world.alice.post(f"/v2.1/servers/{server_id}/action", json={"os-stop": None})

    assert answer.json()["conflictingRequest"]["message"] == f"Instance {server_id} is not ready"


def test_the_state_is_looked_at_before_what_is_going_on(world: World) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state="stopped", task_state="powering-on")

    answer = world.alice.post(f"/v2.1/servers/{server_id}/action", json={"pause": None})

    sentence = f"Cannot 'pause' instance {server_id} while it is in vm_state stopped"
    assert answer.json()["conflictingRequest"]["message"] == sentence


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"nonsense": None}, 400, "There is no such action: nonsense"),
        ({"os-pause": None}, 400, "There is no such action: os-pause"),
        ({}, 400, "Malformed request body"),
        ([], 400, "Malformed request body"),
        (
            {"reboot": {"type": "X"}},
            400,
            "Invalid input for field/attribute type. Value: X. "
            "'X' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']",
        ),
        ({"os-start": None, "os-stop": None}, 400, "Additional properties are not allowed ('os-stop' was unexpected)"),
    ],
)
def test_what_is_no_action_is_refused(world: World, body: Any, status: int, sentence: str) -> None:
    server_id = world.active_server()

    answer = world.alice.post(f"/v2.1/servers/{server_id}/action", json=body)

    assert (answer.status_code, next(iter(answer.json().values()))["message"]) == (status, sentence)


def test_readers_look_and_do_nothing(world: World) -> None:
    server_id = world.active_server()
    reader = world.person(ALICE, READER)

    assert reader.get(f"/v2.1/servers/{server_id}").status_code == 200
    refused = reader.post(f"/v2.1/servers/{server_id}/action", json={"os-stop": None})
    assert refused.json()["forbidden"]["message"] == "Policy doesn't allow os_compute_api:servers:stop to be performed."
    assert reader.delete(f"/v2.1/servers/{server_id}").status_code == 403


@pytest.mark.parametrize(
    ("written", "length", "output"),
    [
        ("one\ntwo\nthree", None, "one\ntwo\nthree"),
        ("one\ntwo\nthree", 2, "two\nthree"),
        ("one\ntwo\nthree", "1", "three"),
        ("one\ntwo\nthree", 0, ""),
        ("one\ntwo\nthree", -1, "one\ntwo\nthree"),
        ("one\ntwo\nthree", 10**12, "one\ntwo\nthree"),
        ("one\ntwo\nthree", "9" * 20, "one\ntwo\nthree"),
        ("one\ntwo\n", None, "one\ntwo\n"),
        ("one\ntwo\n", 1, "two"),
        ("one\ntwo\n\n", 2, "two\n"),
    ],
)
def test_the_console_is_the_newest_lines_of_the_guest(world: World, written: str, length: Any, output: str) -> None:
    world.host()
    server_id = world.active_server()
    world.consoles[UUID(server_id)] = written

    answer = world.alice.post(
        f"/v2.1/servers/{server_id}/action", json={"os-getConsoleOutput": {} if length is None else {"length": length}}
    )

    assert (answer.status_code, answer.json()) == (200, {"output": output})


@pytest.mark.parametrize("length", ["x", [], {}, True, -2, "-" + "9" * 20])
def test_a_console_length_that_is_no_number_is_refused(world: World, length: Any) -> None:
    server_id = world.active_server()

    answer = world.alice.post(f"/v2.1/servers/{server_id}/action", json={"os-getConsoleOutput": {"length": length}})

    assert answer.status_code == 400


def test_a_server_without_a_host_has_no_console_yet(world: World) -> None:
    answer = world.alice.post(f"/v2.1/servers/{world.server()}/action", json={"os-getConsoleOutput": {}})

    assert answer.status_code == 409
    assert answer.json()["conflictingRequest"]["message"].endswith("is not ready")
