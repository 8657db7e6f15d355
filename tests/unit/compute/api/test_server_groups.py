"""Server groups: made, joined, looked at."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compute.api.world import ADMIN, ALICE, BOB, READER, World

PATH = "/v2.1/os-server-groups"


def a_group(world: World, version: str = "2.64", **changes: Any) -> Any:
    asked = {"name": "web", "policy": "anti-affinity"} | changes
    answer = world.at(version).post(PATH, json={"server_group": asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["server_group"]


def test_a_group_is_made_listed_shown_and_deleted(world: World) -> None:
    group = a_group(world, rules={"max_server_per_host": 3})
    client = world.at("2.64")

    assert (group["policy"], group["rules"], group["members"]) == ("anti-affinity", {"max_server_per_host": 3}, [])
    assert group["project_id"] == ALICE
    assert client.get(f"{PATH}/{group['id']}").json() == {"server_group": group}
    assert client.get(PATH).json() == {"server_groups": [group]}
    assert client.delete(f"{PATH}/{group['id']}").status_code == 204
    assert client.get(f"{PATH}/{group['id']}").status_code == 404


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("2.1", {"id", "name", "policies", "metadata", "members"}),
        ("2.13", {"id", "name", "policies", "metadata", "members", "project_id", "user_id"}),
        ("2.64", {"id", "name", "policy", "rules", "members", "project_id", "user_id"}),
    ],
)
def test_a_group_looks_as_its_version_has_it(world: World, version: str, shown: set[str]) -> None:
    a_group(world)

    [group] = world.at(version).get(PATH).json()["server_groups"]

    assert set(group) == shown
    assert group.get("policies", ["anti-affinity"]) == ["anti-affinity"]


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ("2.1", {"name": "x", "policy": "affinity"}),
        ("2.1", {"name": "x"}),
        ("2.1", {"name": "x", "policies": []}),
        ("2.1", {"name": "x", "policies": ["affinity", "anti-affinity"]}),
        ("2.14", {"name": "x", "policies": ["soft-affinity"]}),
        ("2.64", {"name": "x", "policies": ["affinity"]}),
        ("2.64", {"name": "x", "policy": "nonsense"}),
        ("2.64", {"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"name": "x", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"name": "", "policy": "affinity"}),
        ("2.64", {"policy": "affinity"}),
        ("2.64", None),
    ],
)
def test_a_malformed_group_is_refused(world: World, version: str, asked: Any) -> None:
    assert world.at(version).post(PATH, json={"server_group": asked}).status_code == 400


def test_soft_policies_came_with_2_15(world: World) -> None:
    answer = world.at("2.15").post(PATH, json={"server_group": {"name": "x", "policies": ["soft-anti-affinity"]}})

    assert answer.json()["server_group"]["policies"] == ["soft-anti-affinity"]


def test_a_server_joins_the_group_in_its_hint_until_it_is_deleted(world: World) -> None:
    group = a_group(world)
    order = world.order() | {"os:scheduler_hints": {"group": group["id"]}}
    server_id = world.at("2.71").post("/v2.1/servers", json=order | _no_network(order)).json()["server"]["id"]

    assert world.alice.get(f"{PATH}/{group['id']}").json()["server_group"]["members"] == [server_id]
    assert world.at("2.71").get(f"/v2.1/servers/{server_id}").json()["server"]["server_groups"] == [group["id"]]
    world.become(server_id, deleted_at=world.row(server_id).created_at)
    assert world.alice.get(f"{PATH}/{group['id']}").json()["server_group"]["members"] == []


def _no_network(order: Any) -> Any:
    return {"server": order["server"] | {"networks": "none"}}


@pytest.mark.parametrize("hint", ["6a2f1b1c-0b7e-4f0a-9d5b-1f2e3d4c5b6a", "web", 5])
def test_a_hint_that_names_no_group_is_refused(world: World, hint: Any) -> None:
    answer = world.alice.post("/v2.1/servers", json=world.order() | {"os:scheduler_hints": {"group": hint}})

    assert answer.status_code == 400
    assert world.alice.get("/v2.1/servers").json()["servers"] == []


def test_others_groups_are_nobodys(world: World) -> None:
    path = f"{PATH}/{a_group(world)['id']}"

    assert (world.bob.get(path).status_code, world.bob.delete(path).status_code) == (404, 404)
    assert world.bob.get(PATH).json() == {"server_groups": []}
    assert world.bob.get(f"{PATH}?all_projects=1").json() == {"server_groups": []}
    assert len(world.person(BOB, ADMIN).get(f"{PATH}?all_projects=1").json()["server_groups"]) == 1
    assert world.person(ALICE, READER).delete(path).status_code == 403


def test_groups_and_their_members_have_quotas(world: World) -> None:
    limits = {"quota_set": {"server_groups": 1, "server_group_members": 1}}
    assert world.admin().put(f"/v2.1/os-quota-sets/{ALICE}", json=limits).status_code == 200
    group = a_group(world)

    second = world.at("2.64").post(PATH, json={"server_group": {"name": "x", "policy": "affinity"}})
    two = world.order(min_count=2) | {"os:scheduler_hints": {"group": group["id"]}}
    crowd = world.alice.post("/v2.1/servers", json=two)

    assert (second.status_code, "too many server groups" in second.text) == (403, True)
    assert (crowd.status_code, "too many servers in group" in crowd.text) == (403, True)
    absolute = world.alice.get("/v2.1/limits").json()["limits"]["absolute"]
    assert (absolute["totalServerGroupsUsed"], absolute["totalInstancesUsed"]) == (1, 0)


def test_the_list_goes_by_offset_and_limit(world: World) -> None:
    names = [a_group(world, name=f"g{number}")["name"] for number in range(4)]

    page = world.alice.get(f"{PATH}?limit=2&offset=1").json()["server_groups"]

    assert [one["name"] for one in page] == names[1:3]
    assert world.alice.get(f"{PATH}?offset=-1").status_code == 400


def test_until_2_75_the_list_goes_on_after_a_marker(world: World) -> None:
    ids = [a_group(world, name=f"g{number}")["id"] for number in range(4)]

    first = world.at("2.64").get(f"{PATH}?limit=2&offset=1").json()["server_groups"]
    second = world.at("2.64").get(f"{PATH}?limit=2&offset=1&marker={first[-1]['id']}").json()["server_groups"]

    assert [[one["id"] for one in page] for page in (first, second)] == [ids[1:3], ids[3:]]
    assert world.bob.get(f"{PATH}?marker={ids[0]}").status_code == 400
    assert world.at("2.75").get(f"{PATH}?marker={ids[0]}").status_code == 400
