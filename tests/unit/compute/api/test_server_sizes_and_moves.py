"""Resize, rescue, and moves that have nowhere to go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from common.clock import utc_now
from services.compute.db.tables import ServiceRow
from tests.unit.compute.api.world import World


def act(world: World, server_id: str, body: Any, version: str = "2.104", *, admin: bool = False) -> Any:
    client = world.admin(version) if admin else world.at(version)
    return client.post(f"/v2.1/servers/{server_id}/action", json=body)


def sentence(answer: Any) -> str:
    return str(next(iter(answer.json().values()))["message"])


def test_a_resize_takes_a_copy_of_the_flavor(world: World) -> None:
    server_id = world.active_server()
    world.flavor("2", vcpus=2, disk=3)

    assert act(world, server_id, {"resize": {"flavorRef": "2"}}).status_code == 202

    params = world.sagas(server_id)[-1].params
    assert (params["flavor"]["vcpus"], params["flavor"]["root_gib"], params["was_on"]) == (2, 3, True)
    assert world.row(server_id).flavor["id"] == "1"
    assert world.alice.get(f"/v2.1/servers/{server_id}").json()["server"]["status"] == "RESIZE"


@pytest.mark.parametrize(
    ("flavor", "said"),
    [
        ({"flavorRef": "1"}, "When resizing, instances must change flavor!"),
        ({"flavorRef": "unheard-of"}, "Unable to locate requested flavor. Flavor unheard-of could not be found."),
        ({"flavorRef": "zero"}, "Resize to zero disk flavor is not allowed."),
        ({"flavorRef": "1", "x": 1}, "Additional properties are not allowed ('x' was unexpected)"),
        ({}, "'flavorRef' is a required property"),
    ],
)
def test_a_resize_that_cannot_be_is_refused(world: World, flavor: dict[str, Any], said: str) -> None:
    server_id = world.active_server()
    world.flavor("zero", disk=0)

    answer = act(world, server_id, {"resize": flavor})

    assert answer.status_code == 400 and said in sentence(answer)
    assert world.row(server_id).task_state is None


def test_a_disk_does_not_shrink(world: World) -> None:
    world.flavor("large", disk=5)
    server_id = world.active_server(flavorRef="large")

    answer = act(world, server_id, {"resize": {"flavorRef": "1"}})

    assert answer.status_code == 400 and "a disk can't shrink" in sentence(answer)


def test_a_resize_counts_in_the_quota(world: World) -> None:
    server_id = world.active_server()
    world.flavor("huge", vcpus=100, disk=1)

    answer = act(world, server_id, {"resize": {"flavorRef": "huge"}})

    assert answer.status_code == 403 and sentence(answer).startswith("Quota exceeded for cores: Requested 99")


def test_a_rescue_answers_the_password_and_takes_any_image(world: World) -> None:
    server_id = world.active_server()
    image = world.gallery.add()

    answer = act(world, server_id, {"rescue": {"adminPass": "s3cret", "rescue_image_ref": str(image.id)}})

    assert (answer.status_code, answer.json()) == (200, {"adminPass": "s3cret"})
    assert world.sagas(server_id)[-1].params["image"]["id"] == str(image.id)


def test_a_rescue_is_from_the_servers_own_image_if_none_is_named(world: World) -> None:
    server_id = world.active_server()

    answer = act(world, server_id, {"rescue": None})

    assert len(answer.json()["adminPass"]) == 12
    assert UUID(world.sagas(server_id)[-1].params["image"]["id"]) == world.row(server_id).image_id


@pytest.mark.parametrize("image", ["nonsense", str(UUID(int=7)), 7, ""])
def test_a_rescue_image_that_is_none_is_refused(world: World, image: Any) -> None:
    server_id = world.active_server()

    assert act(world, server_id, {"rescue": {"rescue_image_ref": image}}).status_code == 400


# ---------------------------------------------------------------- moves

LIVE = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
MOVES: tuple[dict[str, Any], ...] = ({"migrate": None}, LIVE)


@pytest.mark.parametrize("body", MOVES, ids=["cold", "live"])
def test_a_server_has_nowhere_to_go_yet(world: World, body: dict[str, Any]) -> None:
    world.host()
    server_id = world.active_server()

    assert act(world, server_id, body).status_code == 403
    answer = act(world, server_id, body, admin=True)

    said = "No valid host was found. Servers do not move between the hosts of this cloud yet."
    assert (answer.status_code, sentence(answer)) == (400, said)
    assert (world.row(server_id).vm_state, world.row(server_id).task_state) == ("active", None)


@pytest.mark.parametrize("body", [*MOVES, {"evacuate": {}}], ids=["cold", "live", "evacuate"])
def test_a_move_looks_at_the_state_first(world: World, body: dict[str, Any]) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state="rescued")

    answer = act(world, server_id, body, admin=True)

    action = next(iter(body))
    assert sentence(answer) == f"Cannot '{action}' instance {server_id} while it is in vm_state rescued"


def test_a_host_that_is_up_is_not_evacuated(world: World) -> None:
    world.host()
    server_id = world.active_server()

    answer = act(world, server_id, {"evacuate": {}}, admin=True)
    assert (answer.status_code, sentence(answer)) == (400, "Compute service of one is still in use.")

    with world.kit.database.transaction() as session:
        session.execute(update(ServiceRow).values(seen_at=utc_now() - timedelta(hours=1)))
    answer = act(world, server_id, {"evacuate": {}}, admin=True)
    assert answer.status_code == 400 and sentence(answer).startswith("No valid host was found.")


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("unheard-of", (404, "Compute host unheard-of not found.")),
        ("one", (400, "The target host can't be the same one.")),
    ],
)
def test_where_to_evacuate_to_is_looked_at_before_the_state(world: World, host: str, answer: tuple[int, str]) -> None:
    world.host()
    server_id = world.active_server()
    world.become(server_id, vm_state="rescued")

    refused = act(world, server_id, {"evacuate": {"host": host}}, admin=True)

    assert (refused.status_code, sentence(refused)) == answer


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.55", {"migrate": {"host": "one"}}),
        ("2.104", {"migrate": {"host": "one"}}),
        ("2.104", {"migrate": {"host": "unheard-of"}}),
        ("2.104", {"os-migrateLive": {"host": None}}),
        ("2.24", {"os-migrateLive": {"host": None, "block_migration": "auto", "disk_over_commit": False}}),
        ("2.24", {"os-migrateLive": {"host": None, "block_migration": False}}),
        ("2.13", {"evacuate": {"host": "one"}}),
        ("2.104", {"os-migrateLive": {"host": None, "block_migration": "auto", "force": True}}),
        ("2.104", {"evacuate": {"onSharedStorage": True}}),
        ("2.104", {"evacuate": {"force": True}}),
    ],
)
def test_a_move_that_makes_no_sense_is_refused(world: World, version: str, body: dict[str, Any]) -> None:
    world.host()

    answer = act(world, world.active_server(), body, version, admin=True)

    assert answer.status_code == 400
    assert "No valid host" not in sentence(answer)
