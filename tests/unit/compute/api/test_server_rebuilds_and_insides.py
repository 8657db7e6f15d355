"""Rebuilds, passwords, crash dumps and figures."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.bus.bus import Handlers
from common.clock import utc_now
from common.errors import Conflict, Silent
from services.compute.api import server_insides
from services.compute.api.kit import MOST_WAITING
from services.compute.contract import HOST_QUEUE, DiagnoseGuest, SetGuestPassword
from services.compute.core.guests import Diagnosis, DiskUse, PowerState
from tests.unit.compute.api.world import World


def act(world: World, server_id: str, body: Any, version: str = "2.104") -> Any:
    return world.at(version).post(f"/v2.1/servers/{server_id}/action", json=body)


def a_rebuild(world: World, **options: Any) -> dict[str, Any]:
    return {"rebuild": {"imageRef": str(world.gallery.add().id)} | options}


def sentence(answer: Any) -> str:
    return str(next(iter(answer.json().values()))["message"])


# ---------------------------------------------------------------- rebuild


def test_a_rebuild_keeps_the_server_and_takes_what_is_given(world: World) -> None:
    server_id = world.active_server(metadata={"a": "1"})
    image, was = world.gallery.add(), world.row(server_id)
    options = {"name": "new", "metadata": {"b": "2"}, "description": None, "user_data": "eA==", "adminPass": "s3cret"}

    answer = act(world, server_id, {"rebuild": {"imageRef": str(image.id)} | options})

    server, row = answer.json()["server"], world.row(server_id)
    assert answer.status_code == 202 and answer.headers["location"].endswith(f"/servers/{server_id}")
    assert (server["id"], server["status"], server["name"]) == (server_id, "REBUILD", "new")
    assert (server["adminPass"], server["user_data"], server["metadata"]) == ("s3cret", "eA==", {"b": "2"})
    assert (row.image_id, row.attributes, row.user_data, row.admin_password) == (
        image.id,
        {"b": "2"},
        "eA==",
        "s3cret",
    )
    old = {"image_id": str(was.image_id), "image": was.image}
    assert world.sagas(server_id)[-1].params == {"server_id": server_id, "was_off": False, "old": old}


@pytest.mark.parametrize(
    ("version", "key", "is_there"),
    [
        ("2.53", "key_name", False),
        ("2.54", "key_name", True),
        ("2.56", "user_data", False),
        ("2.57", "user_data", True),
        ("2.74", "OS-EXT-STS:vm_state", False),
        ("2.75", "OS-EXT-STS:vm_state", True),
    ],
)
def test_the_answer_to_a_rebuild_grew(world: World, version: str, key: str, is_there: bool) -> None:
    answer = act(world, world.active_server(), a_rebuild(world), version)

    assert (key in answer.json()["server"]) is is_there


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ("2.18", {"description": "x"}),
        ("2.53", {"key_name": None}),
        ("2.56", {"user_data": "eA=="}),
        ("2.57", {"personality": []}),
        ("2.89", {"hostname": "web"}),
        ("2.104", {"name": ""}),
        ("2.104", {"name": None}),
        ("2.104", {"imageRef": "nonsense"}),
        ("2.104", {"imageRef": None}),
        ("2.104", {"imageRef": str(UUID(int=7))}),
        ("2.104", {"user_data": "%%%"}),
        ("2.104", {"key_name": "unheard-of"}),
        ("2.104", {"preserve_ephemeral": True}),
        ("2.104", {"metadata": {"k": 1}}),
        ("2.104", {"unheard_of": 1}),
    ],
)
def test_a_rebuild_that_cannot_be_is_refused(world: World, version: str, options: dict[str, Any]) -> None:
    server_id = world.active_server()
    before = world.row(server_id).image_id

    answer = act(world, server_id, a_rebuild(world, **options), version)

    assert answer.status_code == 400
    assert (world.row(server_id).image_id, world.row(server_id).task_state) == (before, None)


def test_an_image_that_the_flavor_could_not_be_made_with_is_refused(world: World) -> None:
    server_id = world.active_server()
    large = world.gallery.add(virtual_size=2 << 30)

    answer = act(world, server_id, {"rebuild": {"imageRef": str(large.id)}})

    assert answer.status_code == 400 and sentence(answer).startswith("Flavor's disk is too small")


def test_others_servers_are_not_rebuilt(world: World) -> None:
    server_id = world.active_server()

    answer = world.bob.post(f"/v2.1/servers/{server_id}/action", json=a_rebuild(world))

    assert answer.status_code == 404


# ---------------------------------------------------------------- inside


class Guest:
    """What a host answers for its guest, and what it was asked."""

    def __init__(self, world: World, *, refuses: bool = False, silent: int = 0) -> None:
        self.asked: list[tuple[str, str]] = []
        self.calls = 0
        handlers = Handlers()

        @handlers.serves(SetGuestPassword)
        def set_password(call: SetGuestPassword) -> None:
            self.calls += 1
            if self.calls <= silent:
                raise Silent("The guest's agent does not answer")
            if refuses:
                raise Conflict("The guest's agent does not set passwords")
            self.asked.append((call.user, call.password))

        @handlers.serves(DiagnoseGuest)
        def diagnose(call: DiagnoseGuest) -> Diagnosis:
            return Diagnosis(
                driver="libvirt",
                hypervisor="qemu",
                power_state=PowerState.RUNNING,
                cpu_times_ns=[7],
                memory_kib=524_288,
                memory_used_kib=1024,
                disks=[DiskUse(name="vda", read_bytes=5)],
            )

        world.bus.serve(f"{HOST_QUEUE}.two", handlers, threads=1)


@pytest.mark.parametrize(
    ("properties", "user"), [({}, "root"), ({"os_type": "windows"}, "Administrator"), ({"os_admin_user": "me"}, "me")]
)
def test_a_password_is_set_for_the_images_administrator(world: World, properties: dict[str, str], user: str) -> None:
    guest, server_id = Guest(world), world.active_server("two")
    world.become(server_id, image={"properties": properties})

    assert act(world, server_id, {"changePassword": {"adminPass": "s3cret"}}).status_code == 202

    assert guest.asked == [(user, "s3cret")]
    assert world.row(server_id).admin_password != "s3cret"
    assert world.sagas(server_id)[-1].action == "changePassword"


def test_the_agent_of_a_guest_that_has_just_started_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_insides, "AGENT_AGAIN_S", 0.01)
    guest, server_id = Guest(world, silent=3), world.active_server("two")

    assert act(world, server_id, {"changePassword": {"adminPass": "s3cret"}}).status_code == 202

    assert guest.asked == [("root", "s3cret")] and guest.calls == 4


@pytest.mark.parametrize("action", ["start", "reboot"])
def test_so_is_the_agent_of_one_that_was_just_started_again(
    world: World, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr(server_insides, "AGENT_AGAIN_S", 0.01)
    guest, server_id = Guest(world, silent=3), world.active_server("two")
    world.become(server_id, launched_at=utc_now() - timedelta(hours=1))
    with world.kit.transaction() as tx:
        for done, minutes in (("start", 60), (action, 1)):
            at = utc_now() - timedelta(minutes=minutes)
            tx.sagas.note(done, resource_id=UUID(server_id), project_id="p", user_id="u", step="guest", at=at)

    assert act(world, server_id, {"changePassword": {"adminPass": "s3cret"}}).status_code == 202

    assert guest.asked == [("root", "s3cret")]


def test_an_agent_that_stays_silent_is_a_conflict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_insides, "AGENT_AGAIN_S", 0.01)
    monkeypatch.setattr(server_insides, "AGENT_S", 0.05)
    guest, server_id = Guest(world, silent=10**9), world.active_server("two")

    answer = act(world, server_id, {"changePassword": {"adminPass": "s3cret"}})

    because = "because The guest's agent does not answer"
    assert (answer.status_code, sentence(answer)) == (409, f"Failed to set admin password on {server_id} {because}")
    assert guest.calls > 1 and guest.asked == []


def test_nobody_waits_for_a_guest_that_has_long_been_up_or_where_enough_others_wait(world: World) -> None:
    guest, server_id = Guest(world, silent=10**9), world.active_server("two")
    body = {"changePassword": {"adminPass": "s3cret"}}

    with ExitStack() as others:
        for _ in range(MOST_WAITING):
            others.enter_context(world.kit.waiting.place())
        assert act(world, server_id, body).status_code == 409
    world.become(server_id, launched_at=utc_now() - timedelta(hours=1))
    assert act(world, server_id, body).status_code == 409

    assert guest.calls == 2


def test_a_password_that_the_guest_does_not_take_is_a_conflict(world: World) -> None:
    Guest(world, refuses=True)
    server_id = world.active_server("two")

    answer = act(world, server_id, {"changePassword": {"adminPass": "s3cret"}})

    because = "because The guest's agent does not set passwords"
    assert (answer.status_code, sentence(answer)) == (409, f"Failed to set admin password on {server_id} {because}")


@pytest.mark.parametrize("options", [None, {}, {"adminPass": 1}, {"adminPass": "x" * 256}, {"adminPass": "x", "y": 1}])
def test_a_password_that_is_none_is_refused(world: World, options: Any) -> None:
    assert act(world, world.active_server(), {"changePassword": options}).status_code == 400


def test_a_password_is_set_only_in_a_running_server(world: World) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state="stopped")

    answer = act(world, server_id, {"changePassword": {"adminPass": "x"}})

    assert sentence(answer) == f"Cannot 'changePassword' instance {server_id} while it is in vm_state stopped"


def test_crash_dumps_came_with_2_17(world: World) -> None:
    server_id = world.active_server()

    assert act(world, server_id, {"trigger_crash_dump": None}, "2.16").status_code == 404
    assert act(world, server_id, {"trigger_crash_dump": None}, "2.17").status_code == 202
    assert world.row(server_id).task_state is None


def test_figures_are_for_administrators_in_libvirts_words_before_2_48(world: World) -> None:
    Guest(world)
    path = f"/v2.1/servers/{world.active_server('two')}/diagnostics"

    assert world.alice.get(path).status_code == 403
    assert world.admin("2.47").get(path).json() == {
        "cpu0_time": 7,
        "vda_read_req": 0,
        "vda_read": 5,
        "vda_write_req": 0,
        "vda_write": 0,
        "vda_errors": -1,
        "memory": 524_288,
        "memory-actual": 524_288,
        "memory-rss": 0,
    }
    new = world.admin("2.48").get(path).json()
    assert (new["state"], new["driver"], new["num_cpus"], new["num_disks"]) == ("running", "libvirt", 1, 1)
    assert new["memory_details"] == {"maximum": 512, "used": 1}
    assert new["config_drive"] is True  # every guest has one, asked for or not


def test_only_a_running_server_has_figures(world: World) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state="stopped", power_state=4)

    answer = world.admin().get(f"/v2.1/servers/{server_id}/diagnostics")

    assert sentence(answer) == f"Cannot 'get_diagnostics' instance {server_id} while it is in power state shutdown"


def test_a_sealed_password_is_shown_and_forgotten(world: World) -> None:
    server_id = world.active_server()
    path = f"/v2.1/servers/{server_id}/os-server-password"
    assert world.alice.get(path).json() == {"password": ""}

    world.become(server_id, sealed_password="c2VhbGVk")
    assert world.alice.get(path).json() == {"password": "c2VhbGVk"}
    assert world.bob.get(path).status_code == 404

    assert world.alice.delete(path).status_code == 204
    assert world.alice.get(path).json() == {"password": ""}


def test_who_may_only_read_is_told_so_before_anything_else_of_a_rebuild(world: World) -> None:
    server_id = world.active_server()
    reader = world.person(roles=("reader",))

    answer = reader.post(f"/v2.1/servers/{server_id}/action", json={"rebuild": {"imageRef": str(uuid4())}})

    assert answer.status_code == 403
