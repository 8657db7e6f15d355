"""Locks, deletes that can be taken back, and states set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.compute.api.world import World, a_world


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[World]:
    """A cloud where deleted servers can be restored for an hour."""
    with a_world(f"sqlite:///{tmp_path}/patient.sqlite", reclaim_instance_interval_s=3600) as world:
        world.flavor()
        yield world


def act(world: World, server_id: str, body: Any, *, client: Any = None) -> Any:
    return (client or world.alice).post(f"/v2.1/servers/{server_id}/action", json=body)


def sentence(answer: Any) -> str:
    return str(next(iter(answer.json().values()))["message"])


@pytest.mark.parametrize("body", [{"os-stop": None}, {"pause": None}, {"forceDelete": None}])
def test_a_locked_server_takes_actions_from_administrators_alone(world: World, body: Any) -> None:
    server_id = world.active_server()
    assert act(world, server_id, {"lock": None}).status_code == 202

    refused = act(world, server_id, body)
    assert (refused.status_code, sentence(refused)) == (409, f"Instance {server_id} is locked")
    assert world.alice.delete(f"/v2.1/servers/{server_id}").status_code == 409
    assert world.alice.put(f"/v2.1/servers/{server_id}/metadata", json={"metadata": {}}).status_code == 409

    assert act(world, server_id, body, client=world.admin()).status_code == 202


def test_an_unlocked_server_takes_actions_again(world: World) -> None:
    server_id = world.active_server()
    act(world, server_id, {"lock": None})

    assert act(world, server_id, {"unlock": None}).status_code == 202
    assert act(world, server_id, {"os-stop": None}).status_code == 202
    assert [saga.action for saga in world.sagas(server_id)] == ["create", "lock", "unlock", "stop"]


def test_what_an_administrator_of_another_project_locked_its_owner_cannot_unlock(world: World) -> None:
    server_id = world.active_server()
    other_admin = world.person("c" * 32, ("admin", "manager", "member", "reader"))
    act(world, server_id, {"lock": None}, client=other_admin)

    assert act(world, server_id, {"unlock": None}).status_code == 403
    assert act(world, server_id, {"unlock": None}, client=other_admin).status_code == 202


def test_a_lock_may_give_its_reason_since_2_73(world: World) -> None:
    server_id = world.active_server()

    assert act(world, server_id, {"lock": {"locked_reason": "mine"}}, client=world.at("2.73")).status_code == 202

    shown = world.at("2.73").get(f"/v2.1/servers/{server_id}").json()["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "mine")
    assert "locked_reason" not in world.at("2.72").get(f"/v2.1/servers/{server_id}").json()["server"]


@pytest.mark.parametrize("options", [{"locked_reason": ""}, {"locked_reason": "x" * 256}, {"reason": "x"}, "x"])
def test_a_reason_that_is_none_is_refused(world: World, options: Any) -> None:
    server_id = world.active_server()

    assert act(world, server_id, {"lock": options}, client=world.at("2.73")).status_code == 400
    assert world.row(server_id).is_locked is False


@pytest.mark.parametrize("state", ["active", "error"])
def test_an_administrator_sets_a_state_by_hand(world: World, state: str) -> None:
    server_id = world.active_server()
    world.become(server_id, task_state="powering-off")

    assert act(world, server_id, {"os-resetState": {"state": state}}).status_code == 403
    assert act(world, server_id, {"os-resetState": {"state": state}}, client=world.admin()).status_code == 202

    row = world.row(server_id)
    assert (row.vm_state, row.task_state, bool(row.fault)) == (state, None, state == "error")


@pytest.mark.parametrize("options", [None, {}, {"state": "stopped"}, {"state": "active", "x": 1}])
def test_only_two_states_can_be_set_by_hand(world: World, options: Any) -> None:
    server_id = world.active_server()

    assert act(world, server_id, {"os-resetState": options}, client=world.admin()).status_code == 400


def test_a_deleted_server_waits_out_of_sight_to_be_restored(patient: World) -> None:
    server_id = patient.active_server()

    assert patient.alice.delete(f"/v2.1/servers/{server_id}").status_code == 204
    assert [saga.kind for saga in patient.sagas(server_id)] == ["boot_server", "soft_delete_server"]

    patient.become(server_id, vm_state="soft-delete", task_state=None)
    assert patient.alice.get("/v2.1/servers").json()["servers"] == []
    assert patient.alice.get(f"/v2.1/servers/{server_id}").json()["server"]["status"] == "SOFT_DELETED"
    assert act(patient, server_id, {"restore": None}).status_code == 202


def test_a_second_delete_takes_nothing_from_the_time_in_which_it_can_be_restored(patient: World) -> None:
    server_id = patient.active_server()
    path = f"/v2.1/servers/{server_id}"

    clicks = [patient.alice.delete(path).status_code for _ in range(2)]
    patient.become(server_id, vm_state="soft-delete", task_state=None)
    later = patient.alice.delete(path).status_code

    assert [*clicks, later] == [204] * 3
    assert [saga.kind for saga in patient.sagas(server_id)] == ["boot_server", "soft_delete_server"]
    assert act(patient, server_id, {"restore": None}).status_code == 202


def test_what_waits_is_deleted_at_once_where_nothing_waits_any_more(world: World) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state="soft-delete")

    assert world.alice.delete(f"/v2.1/servers/{server_id}").status_code == 204
    assert world.sagas(server_id)[-1].kind == "delete_server"


@pytest.mark.parametrize("state", ["building", "active", "paused", "soft-delete", "error", "resized"])
def test_a_server_is_deleted_by_force_from_any_state(patient: World, state: str) -> None:
    server_id = patient.active_server()
    patient.become(server_id, vm_state=state, task_state="pausing")

    assert act(patient, server_id, {"forceDelete": None}).status_code == 202
    assert patient.sagas(server_id)[-1].kind == "delete_server"
