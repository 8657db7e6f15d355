"""Registered limits, and the limits of single projects and domains."""

from __future__ import annotations

from typing import Any

import pytest

from common.db.counting import counted
from tests.unit.identity.worlds import URL, World, a_domain, a_project, scope_to

SYSTEM = {"system": {"all": True}}


def registered(world: World, name: str = "vcpus", **fields: object) -> dict[str, Any]:
    one = {"service_id": world.id_of("services", "keystone"), "resource_name": name, "default_limit": 10} | fields
    answer = world.http.post("/v3/registered_limits", headers=world.as_(), json={"registered_limits": [one]})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["registered_limits"][0]
    return found


def limited(world: World, name: str = "vcpus", **fields: object) -> dict[str, Any]:
    one = {"service_id": world.id_of("services", "keystone"), "resource_name": name, "resource_limit": 5} | fields
    answer = world.http.post("/v3/limits", headers=world.as_(), json={"limits": [one]})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["limits"][0]
    return found


def test_a_limit_is_registered_for_everybody_to_see(world: World) -> None:
    limit = registered(world, region_id="RegionOne", description="d")

    assert limit == {
        "id": limit["id"],
        "service_id": world.id_of("services", "keystone"),
        "region_id": "RegionOne",
        "resource_name": "vcpus",
        "default_limit": 10,
        "description": "d",
        "links": {"self": f"{URL}/registered_limits/{limit['id']}"},
    }
    demo = world.as_("demo")
    assert world.get(f"/v3/registered_limits/{limit['id']}", demo)["registered_limit"] == limit
    assert world.get("/v3/registered_limits?resource_name=vcpus&region_id=RegionOne", demo)["registered_limits"] == [
        limit
    ]
    assert world.get("/v3/registered_limits?resource_name=other", demo)["registered_limits"] == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"service_id": "zzz"}, 400),
        ({"region_id": "zzz"}, 400),
        ({"default_limit": -2}, 400),
        ({"default_limit": 2**31}, 400),
        ({"default_limit": "5"}, 400),
        ({"odd": 1}, 400),
        ({"resource_name": "there"}, 409),
    ],
)
def test_a_registered_limit_that_cannot_be_leaves_none_of_the_list(
    world: World, fields: dict[str, object], status: int
) -> None:
    registered(world, "there")
    good = {"service_id": world.id_of("services", "keystone"), "resource_name": "x", "default_limit": 1}
    bad = good | {"resource_name": "y"} | fields

    body = {"registered_limits": [good, bad]}
    answer = world.http.post("/v3/registered_limits", headers=world.as_(), json=body)

    assert answer.status_code == status
    assert len(world.get("/v3/registered_limits", world.as_())["registered_limits"]) == 1


def test_a_registered_limit_that_is_replaced_somewhere_stays(world: World) -> None:
    admin, limit = world.as_(), registered(world)
    own = limited(world, project_id=world.id_of("projects", "demo"))
    path = f"/v3/registered_limits/{limit['id']}"

    kept = world.http.delete(path, headers=admin)
    renamed = world.http.patch(path, headers=admin, json={"registered_limit": {"resource_name": "x"}})
    raised = world.http.patch(path, headers=admin, json={"registered_limit": {"default_limit": -1}})
    world.http.delete(f"/v3/limits/{own['id']}", headers=admin)
    gone = world.http.delete(path, headers=admin)

    assert [one.status_code for one in (kept, renamed, raised, gone)] == [403, 403, 200, 204]
    assert raised.json()["registered_limit"]["default_limit"] == -1
    assert "because there are project limits associated with it" in kept.json()["error"]["message"]


def test_a_project_or_a_domain_gets_a_limit_of_its_own(world: World) -> None:
    registered(world)
    project = world.id_of("projects", "demo")

    limit = limited(world, project_id=project, description="d")
    other = limited(world, domain_id="default")

    assert limit == {
        "id": limit["id"],
        "project_id": project,
        "domain_id": None,
        "service_id": world.id_of("services", "keystone"),
        "region_id": None,
        "resource_name": "vcpus",
        "resource_limit": 5,
        "description": "d",
        "links": {"self": f"{URL}/limits/{limit['id']}"},
    }
    assert (other["project_id"], other["domain_id"]) == (None, "default")
    path = f"/v3/limits/{limit['id']}"
    changed = world.http.patch(path, headers=world.as_(), json={"limit": {"resource_limit": 7}})
    fixed = world.http.patch(path, headers=world.as_(), json={"limit": {"resource_name": "x"}})
    assert changed.json()["limit"]["resource_limit"] == 7 and fixed.status_code == 400


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"project_id": "zzz"}, 400, "Expecting to find project_id in limit."),
        ({"domain_id": "default", "project_id": "x"}, 400, "is a required property"),
        ({}, 400, "is a required property"),
        ({"domain_id": "default", "resource_name": "unheard"}, 400, "no corresponding registered limit"),
        ({"domain_id": "default", "resource_name": "taken"}, 409, "Duplicate entry"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(world: World, fields: dict[str, object], status: int, message: str) -> None:
    registered(world)
    registered(world, "taken")
    limited(world, "taken", domain_id="default")
    one = {"service_id": world.id_of("services", "keystone"), "resource_name": "vcpus", "resource_limit": 5} | fields

    answer = world.http.post("/v3/limits", headers=world.as_(), json={"limits": [one]})

    assert answer.status_code == status and message in answer.json()["error"]["message"]


def test_a_token_sees_the_limits_of_its_scope(world: World) -> None:
    registered(world)
    demo, domain = world.id_of("projects", "demo"), a_domain(world, "d1")
    own = limited(world, project_id=demo)
    far = limited(world, project_id=a_project(world, "far", domain_id=domain))
    of_domain = limited(world, domain_id=domain)

    def seen(headers: dict[str, str], query: str = "") -> set[str]:
        return {one["id"] for one in world.get(f"/v3/limits{query}", headers)["limits"]}

    assert seen(world.as_("demo")) == {own["id"]}
    assert seen(world.as_("admin", SYSTEM)) == {own["id"], far["id"], of_domain["id"]}
    assert seen(world.as_("admin", SYSTEM), f"?project_id={demo}") == {own["id"]}
    assert seen(world.as_("admin", SYSTEM), f"?domain_id={domain}&resource_name=vcpus") == {of_domain["id"]}
    assert seen(world.as_("admin", scope_to("admin"))) == set()
    assert world.http.get(f"/v3/limits/{own['id']}", headers=world.as_("demo")).status_code == 200
    assert world.http.get(f"/v3/limits/{far['id']}", headers=world.as_("demo")).status_code == 403
    assert world.http.get("/v3/limits/none", headers=world.as_("demo")).status_code == 403


def test_the_limits_of_a_project_go_with_it(world: World) -> None:
    registered(world)
    project = a_project(world, "p")
    limit = limited(world, project_id=project)

    world.http.delete(f"/v3/projects/{project}", headers=world.as_())

    assert world.http.get(f"/v3/limits/{limit['id']}", headers=world.as_()).status_code == 404


def test_limits_are_flat(world: World) -> None:
    assert world.get("/v3/limits/model", world.as_("demo"))["model"]["name"] == "flat"


def test_a_list_of_limits_costs_a_constant_number_of_queries(world: World) -> None:
    registered(world)
    system = world.as_("admin", SYSTEM)
    world.get("/v3/limits", system)
    limited(world, domain_id="default")
    with counted(world.kit.database) as few:
        world.get("/v3/limits", system)
    for number in range(4):
        limited(world, project_id=a_project(world, f"p{number}"))

    with counted(world.kit.database) as many:
        world.get("/v3/limits", system)

    assert len(few) == len(many)
