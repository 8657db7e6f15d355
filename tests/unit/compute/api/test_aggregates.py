"""Host aggregates, and the zones that they make."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from common.bus.bus import Handlers
from common.db.counting import counted
from services.compute.contract import HOST_QUEUE, CacheImage
from tests.harness.waiting import until
from tests.unit.compute.api.world import World

PATH = "/v2.1/os-aggregates"


def an_aggregate(world: World, name: str = "rack", **fields: Any) -> int:
    answer = world.admin().post(PATH, json={"aggregate": {"name": name} | fields})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["aggregate"]["id"])


def act(world: World, number: int, **action: Any) -> Any:
    return world.admin().post(f"{PATH}/{number}/action", json=action)


def zones(world: World) -> set[str]:
    return {one["zoneName"] for one in world.alice.get("/v2.1/os-availability-zone").json()["availabilityZoneInfo"]}


def test_an_aggregate_is_made_changed_and_deleted(world: World) -> None:
    made = world.admin("2.41").post(PATH, json={"aggregate": {"name": "rack", "availability_zone": "east"}})
    number = made.json()["aggregate"]["id"]

    assert {"hosts", "metadata"}.isdisjoint(made.json()["aggregate"]) and made.json()["aggregate"]["uuid"]
    assert world.admin().put(f"{PATH}/{number}", json={"aggregate": {"name": "row"}}).status_code == 200
    shown = world.admin().get(f"{PATH}/{number}").json()["aggregate"]
    assert (shown["name"], shown["availability_zone"], shown["hosts"]) == ("row", "east", [])
    assert (shown["metadata"], "uuid" in shown) == ({"availability_zone": "east"}, False)
    assert world.admin().get(PATH).json()["aggregates"] == [shown]
    assert world.admin().delete(f"{PATH}/{number}").status_code == 200
    assert world.admin().get(f"{PATH}/{number}").status_code == 404


def test_names_are_taken_once(world: World) -> None:
    an_aggregate(world, "a")
    other = an_aggregate(world, "b")

    again = world.admin().post(PATH, json={"aggregate": {"name": "a"}})
    renamed = world.admin().put(f"{PATH}/{other}", json={"aggregate": {"name": "a"}})

    assert again.json()["conflictingRequest"]["message"] == "Aggregate a already exists."
    assert renamed.status_code == 409


def test_hosts_join_and_leave(world: World) -> None:
    world.host("one")
    number = an_aggregate(world)

    joined = act(world, number, add_host={"host": "one"})
    again = act(world, number, add_host={"host": "one"})
    full = world.admin().delete(f"{PATH}/{number}")
    left = act(world, number, remove_host={"host": "one"})
    gone = act(world, number, remove_host={"host": "one"})
    stranger = act(world, number, add_host={"host": "nobody"})

    assert (joined.status_code, joined.json()["aggregate"]["hosts"]) == (200, ["one"])
    assert again.json()["conflictingRequest"]["message"] == f"Aggregate {number} already has host one."
    assert (full.status_code, "Host aggregate is not empty" in full.text) == (400, True)
    assert (left.status_code, left.json()["aggregate"]["hosts"]) == (200, [])
    assert gone.json()["itemNotFound"]["message"] == f"Cannot remove host one in aggregate {number}"
    assert stranger.json()["itemNotFound"]["message"] == "Host 'nobody' is not mapped to any cell"


def test_an_aggregate_with_a_zone_makes_it_for_its_hosts(world: World) -> None:
    world.host("one"), world.host("two")
    number = an_aggregate(world, availability_zone="east")

    assert zones(world) == {"nova"}
    act(world, number, add_host={"host": "one"})
    assert zones(world) == {"nova", "east"}
    act(world, number, set_metadata={"metadata": {"availability_zone": "west", "ssd": "true"}})
    assert zones(world) == {"nova", "west"}
    assert world.alice.post("/v2.1/servers", json=world.order(availability_zone="west")).status_code == 202
    assert world.alice.post("/v2.1/servers", json=world.order(availability_zone="east")).status_code == 400
    act(world, number, remove_host={"host": "one"})
    assert zones(world) == {"nova"}


def test_a_host_is_in_one_zone(world: World) -> None:
    world.host("one")
    east, west = an_aggregate(world, "e", availability_zone="east"), an_aggregate(world, "w", availability_zone="west")
    plain = an_aggregate(world, "p")
    act(world, east, add_host={"host": "one"})

    assert act(world, west, add_host={"host": "one"}).status_code == 409
    assert act(world, plain, add_host={"host": "one"}).status_code == 200
    answer = act(world, plain, set_metadata={"metadata": {"availability_zone": "west"}})
    assert (answer.status_code, "already in availability zone(s) ['east']" in answer.text) == (400, True)
    assert act(world, plain, set_metadata={"metadata": {"availability_zone": "east"}}).status_code == 200


def test_a_host_with_servers_does_not_change_its_zone(world: World) -> None:
    world.host("one")
    world.active_server("one")
    east, plain = an_aggregate(world, "e", availability_zone="east"), an_aggregate(world, "p")

    assert act(world, east, add_host={"host": "one"}).status_code == 409
    assert act(world, plain, add_host={"host": "one"}).status_code == 200
    answer = world.admin().put(f"{PATH}/{plain}", json={"aggregate": {"availability_zone": "east"}})
    assert (answer.status_code, "contain instances in this zone" in answer.text) == (400, True)
    assert act(world, plain, remove_host={"host": "one"}).status_code == 200


def test_metadata_joins_and_null_takes_away(world: World) -> None:
    number = an_aggregate(world)

    act(world, number, set_metadata={"metadata": {"a": "1", "b": "2"}})
    answer = act(world, number, set_metadata={"metadata": {"a": None, "c": "3"}})

    assert answer.json()["aggregate"]["metadata"] == {"b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {"aggregate": {}}, 400),
        ("POST", "", {"aggregate": {"name": "x", "availability_zone": "a:b"}}, 400),
        ("POST", "", {"aggregate": {"name": "x" * 256}}, 400),
        ("PUT", "/1", {"aggregate": {}}, 400),
        ("PUT", "/1", {"aggregate": {"name": None}}, 400),
        ("PUT", "/1", {"aggregate": {"availability_zone": None}}, 400),
        ("GET", "/x", None, 400),
        ("GET", "/99", None, 404),
        ("DELETE", "/99", None, 404),
        ("POST", "/99/action", {"set_metadata": {"metadata": {}}}, 404),
        ("POST", "/1/action", {"dance": {}}, 400),
        ("POST", "/1/action", {}, 400),
        ("POST", "/1/action", {"set_metadata": {"metadata": {"a": 1}}}, 400),
        ("POST", "/1/action", {"set_metadata": {"metadata": {"": "1"}}}, 400),
        ("POST", "/1/action", {"add_host": {"host": 5}}, 400),
        ("POST", "/1/action", {"add_host": {"host": "a"}, "remove_host": {"host": "a"}}, 400),
        ("POST", "/1/images", {"cache": []}, 404),  # came with 2.81
    ],
)
def test_what_makes_no_sense_is_refused(world: World, method: str, path: str, body: Any, status: int) -> None:
    assert an_aggregate(world) == 1

    assert world.admin().request(method, PATH + path, json=body).status_code == status


def test_aggregates_are_for_administrators(world: World) -> None:
    number = an_aggregate(world)

    assert world.alice.get(PATH).status_code == 403
    assert world.alice.post(PATH, json={"aggregate": {"name": "x"}}).status_code == 403
    assert world.alice.post(f"{PATH}/{number}/action", json={"add_host": {"host": "x"}}).status_code == 403
    assert world.at("2.81").post(f"{PATH}/{number}/images", json={"cache": []}).status_code == 403


def test_hosts_are_asked_to_fetch_images_before_they_are_needed(world: World) -> None:
    world.host("one")
    asked: list[str] = []
    handlers = Handlers()

    @handlers.serves(CacheImage)
    def cache(call: CacheImage) -> bool:
        asked.append(str(call.image.id))
        return True

    world.host("two")
    world.bus.serve(f"{HOST_QUEUE}.two", handlers, threads=1)
    number, image = an_aggregate(world), str(world.gallery.add().id)
    act(world, number, add_host={"host": "two"})
    client = world.admin("2.81")

    answer = client.post(f"{PATH}/{number}/images", json={"cache": [{"id": image}]})
    unknown = client.post(f"{PATH}/{number}/images", json={"cache": [{"id": str(uuid4())}]})
    twice = client.post(f"{PATH}/{number}/images", json={"cache": [{"id": image}, {"id": image}]})

    assert (answer.status_code, unknown.status_code, twice.status_code) == (202, 400, 400)
    until(lambda: asked == [image])


def test_a_list_takes_two_queries_however_long(world: World) -> None:
    for number in range(5):
        an_aggregate(world, f"a{number}")

    with counted(world.kit.database) as sent:
        world.admin().get(PATH)

    assert len(sent) == 2
