"""Flavors, their extra specs, and who may use them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compute.api.world import BOB, URL, World


def test_a_flavor_is_made_with_200_and_its_own_id(world: World) -> None:
    answer = world.admin().post("/v2.1/flavors", json={"flavor": {"name": "pf", "ram": 1, "vcpus": 1, "disk": 1}})

    flavor = answer.json()["flavor"]
    assert answer.status_code == 200
    assert flavor == {
        "id": flavor["id"],
        "name": "pf",
        "ram": 1,
        "disk": 1,
        "swap": "",
        "vcpus": 1,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": True,
        "rxtx_factor": 1.0,
        "links": [
            {"rel": "self", "href": f"{URL}/v2.1/flavors/{flavor['id']}"},
            {"rel": "bookmark", "href": f"{URL}/flavors/{flavor['id']}"},
        ],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"ram": 0}, {"ram": -1}, {"vcpus": 0}, {"disk": -1}, {"ram": "x"}, {"ram": True}, {"ram": 2**31}, {"name": ""},
        {"name": " x"}, {"name": "x" * 256}, {"name": None}, {"id": " x"}, {"id": "a/b"}, {"nonsense": 1},
        {"rxtx_factor": 0}, {"os-flavor-access:is_public": "perhaps"}, {"name": "a\nb"},
    ],
)  # fmt: skip
def test_a_malformed_flavor_is_refused(world: World, changes: dict[str, Any]) -> None:
    body = {"name": "pf", "ram": 1, "vcpus": 1, "disk": 1} | changes

    assert world.admin().post("/v2.1/flavors", json={"flavor": body}).status_code == 400


def test_a_name_or_an_id_is_taken_once(world: World) -> None:
    body = {"id": "2", "name": "m1.1", "ram": 1, "vcpus": 1, "disk": 1}

    same_name = world.admin().post("/v2.1/flavors", json={"flavor": body})
    same_id = world.admin().post("/v2.1/flavors", json={"flavor": body | {"id": "1", "name": "x"}})

    assert same_name.json() == {"conflictingRequest": {"code": 409, "message": "Flavor with name m1.1 already exists."}}
    assert same_id.json() == {"conflictingRequest": {"code": 409, "message": "Flavor with ID 1 already exists."}}


def test_members_use_flavors_and_do_not_make_them(world: World) -> None:
    body = {"flavor": {"name": "pf", "ram": 1, "vcpus": 1, "disk": 1}}

    assert world.alice.post("/v2.1/flavors", json=body).status_code == 403
    assert world.alice.delete("/v2.1/flavors/1").status_code == 403
    assert world.alice.get("/v2.1/flavors/1").status_code == 200


def test_a_server_keeps_its_own_copy_of_a_deleted_flavor(world: World) -> None:
    server_id = world.server()

    deleted = world.admin().delete("/v2.1/flavors/1")

    assert deleted.status_code == 202
    assert world.alice.get("/v2.1/flavors/1").json() == {
        "itemNotFound": {"code": 404, "message": "Flavor 1 could not be found."}
    }
    assert world.at("2.47").get(f"/v2.1/servers/{server_id}").json()["server"]["flavor"]["original_name"] == "m1.1"


def test_a_private_flavor_is_only_for_those_who_were_given_access(world: World) -> None:
    world.flavor("secret", **{"os-flavor-access:is_public": False})
    give = {"addTenantAccess": {"tenant": BOB}}

    before = world.bob.get("/v2.1/flavors/secret").status_code
    order_before = world.bob.post("/v2.1/servers", json=world.order(flavorRef="secret"))
    given = world.admin().post("/v2.1/flavors/secret/action", json=give)
    again = world.admin().post("/v2.1/flavors/secret/action", json=give)
    after = world.bob.get("/v2.1/flavors").json()["flavors"]
    taken = world.admin().post("/v2.1/flavors/secret/action", json={"removeTenantAccess": {"tenant": BOB}})

    assert (before, order_before.status_code) == (404, 400)
    assert order_before.json()["badRequest"]["message"] == "Flavor secret could not be found."
    assert (given.status_code, again.status_code, taken.status_code) == (200, 409, 200)
    assert {one["tenant_id"] for one in given.json()["flavor_access"]} == {BOB}
    assert [one["id"] for one in after] == ["1", "secret"]
    assert world.bob.get("/v2.1/flavors/secret").status_code == 404
    assert [one["id"] for one in world.admin().get("/v2.1/flavors?is_public=None").json()["flavors"]] == ["1", "secret"]


def test_access_is_given_only_to_projects_that_there_are(world: World) -> None:
    world.flavor("secret", **{"os-flavor-access:is_public": False})
    world.registry.unknown.add("gone")
    path = "/v2.1/flavors/secret/action"

    refused = world.admin().post(path, json={"addTenantAccess": {"tenant": "gone"}})

    assert refused.json()["badRequest"]["message"] == "Project ID gone is not a valid project."
    assert world.admin().get("/v2.1/flavors/secret/os-flavor-access").json() == {"flavor_access": []}


def test_flavors_come_in_pages(world: World) -> None:
    world.flavor("2")

    page = world.alice.get("/v2.1/flavors/detail?limit=1").json()

    assert page["flavors_links"] == [{"rel": "next", "href": f"{URL}/v2.1/flavors/detail?limit=1&marker=1"}]
    assert [one["id"] for one in world.alice.get("/v2.1/flavors?marker=1").json()["flavors"]] == ["2"]
    assert world.alice.get("/v2.1/flavors?limit=1&marker=none").json() == {
        "badRequest": {"code": 400, "message": "marker [none] not found"}
    }


def test_extra_specs_are_added_changed_and_removed(world: World) -> None:
    path = "/v2.1/flavors/1/os-extra_specs"

    added = world.admin().post(path, json={"extra_specs": {"hw:cpu_policy": "shared", "mine": "1"}})
    changed = world.admin().put(f"{path}/mine", json={"mine": "2"})
    deleted = world.admin().delete(f"{path}/hw:cpu_policy")

    assert (added.status_code, changed.json(), deleted.status_code) == (200, {"mine": "2"}, 200)
    assert world.alice.get(path).json() == {"extra_specs": {"mine": "2"}}
    assert world.alice.get(f"{path}/hw:cpu_policy").json() == {
        "itemNotFound": {"code": 404, "message": "Flavor 1 has no extra specs with key hw:cpu_policy."}
    }
    assert world.alice.post(path, json={"extra_specs": {"a": "b"}}).status_code == 403


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"hw:cpu_policy": "sharrred"}, "Validation failed; 'sharrred' is not one of: dedicated, shared, mixed."),
        ({"hw:foo": "1"}, "Validation failed; extra spec 'hw:foo' does not appear to be a valid extra spec."),
        ({"hw:numa_nodes": "0"}, "Validation failed; '0' is less than the min value of '1'."),
        ({"hw:pmu": "perhaps"}, "Validation failed; 'perhaps' is not a valid boolean-like value."),
    ],
)
def test_known_extra_specs_are_checked_since_2_86(world: World, spec: dict[str, str], sentence: str) -> None:
    path = "/v2.1/flavors/1/os-extra_specs"

    before = world.admin("2.85").post(path, json={"extra_specs": spec})
    then = world.admin("2.86").post(path, json={"extra_specs": spec})

    assert (before.status_code, then.status_code) == (200, 400)
    assert then.json()["badRequest"]["message"] == sentence


@pytest.mark.parametrize(
    "spec",
    [
        {"hw:numa_cpus.0": "0-3,^1"}, {"trait:HW_CPU_X86_AVX": "required"}, {"resources:CUSTOM_GOLD": "2"},
        {"resources1:VCPU": "2"}, {"quota:disk_read_bytes_sec": "1000"}, {"mine": "anything"}, {"my:own": "x"},
    ],
)  # fmt: skip
def test_good_extra_specs_pass_the_check(world: World, spec: dict[str, str]) -> None:
    assert world.admin("2.104").post("/v2.1/flavors/1/os-extra_specs", json={"extra_specs": spec}).status_code == 200


def test_a_description_is_all_that_changes(world: World) -> None:
    answer = world.admin("2.55").put("/v2.1/flavors/1", json={"flavor": {"description": "tiny"}})
    refused = world.admin("2.55").put("/v2.1/flavors/1", json={"flavor": {"description": "x", "ram": 1}})

    assert (answer.status_code, answer.json()["flavor"]["description"]) == (200, "tiny")
    assert refused.status_code == 400


def test_a_public_flavor_takes_access_until_2_7(world: World) -> None:
    body = {"addTenantAccess": {"tenant": BOB}}

    before = world.admin(version="2.6").post("/v2.1/flavors/1/action", json=body)
    since = world.admin(version="2.7").post("/v2.1/flavors/1/action", json=body)

    assert before.status_code == 200
    assert before.json() == {"flavor_access": [{"flavor_id": "1", "tenant_id": BOB}]}
    assert since.json()["conflictingRequest"]["message"] == "Can not add access to a public flavor."
