"""Regions, services and endpoints, and the catalog that a project sees of them."""

from __future__ import annotations

from typing import Any

import pytest

from services.identity.core.endpoint_urls import filled_in, is_well_formed
from tests.unit.identity.worlds import URL, World, scope_to


def made(world: World, noun: str, path: str | None = None, **fields: object) -> dict[str, Any]:
    answer = world.http.post(f"/v3/{path or noun + 's'}", headers=world.as_(), json={noun: fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()[noun]
    return found


def an_endpoint(world: World, **fields: object) -> dict[str, Any]:
    service = made(world, "service", type="t", name="n")
    return made(world, "endpoint", **{"service_id": service["id"], "interface": "public", "url": "http://x"} | fields)


def types_seen(world: World, scope: object = None) -> set[str]:
    catalog = world.log_in("admin", "admin-secret", scope or scope_to("admin")).json()["token"]["catalog"]
    return {service["type"] for service in catalog}


def test_a_region_gets_an_id_or_brings_one(world: World) -> None:
    own = made(world, "region", id="north", description=None, note=1)
    given = made(world, "region", parent_region_id="north")
    put = world.http.put("/v3/regions/south", headers=world.as_(), json={"region": {}})

    assert own == {
        "note": 1,
        "id": "north",
        "description": "",
        "parent_region_id": None,
        "links": {"self": f"{URL}/regions/north"},
    }
    assert len(given["id"]) == 32 and put.status_code == 201
    assert world.get("/v3/regions?parent_region_id=north", world.as_())["regions"] == [given]


def test_a_region_that_cannot_be_is_refused(world: World) -> None:
    admin = world.as_()
    made(world, "region", id="a")
    made(world, "region", id="b", parent_region_id="a")

    twice = world.http.post("/v3/regions", headers=admin, json={"region": {"id": "a"}})
    lost = world.http.post("/v3/regions", headers=admin, json={"region": {"parent_region_id": "zzz"}})
    circle = world.http.patch("/v3/regions/a", headers=admin, json={"region": {"parent_region_id": "b"}})
    other = world.http.put("/v3/regions/c", headers=admin, json={"region": {"id": "d"}})

    assert [one.status_code for one in (twice, lost, circle, other)] == [409, 404, 400, 400]
    assert "would create a circular region hierarchy" in circle.json()["error"]["message"]


def test_a_region_goes_with_those_in_it_unless_an_endpoint_is_there(world: World) -> None:
    admin = world.as_()
    made(world, "region", id="a")
    made(world, "region", id="b", parent_region_id="a")
    endpoint = an_endpoint(world, region_id="b")

    kept = world.http.delete("/v3/regions/a", headers=admin)
    world.http.delete(f"/v3/endpoints/{endpoint['id']}", headers=admin)
    gone = world.http.delete("/v3/regions/a", headers=admin)

    assert (kept.status_code, gone.status_code) == (403, 204)
    assert kept.json()["error"]["message"].startswith("Unable to delete region a because it or its child regions")
    assert world.http.get("/v3/regions/b", headers=admin).status_code == 404


def test_a_service_is_made_changed_and_deleted_with_its_endpoints(world: World) -> None:
    admin, endpoint = world.as_(), an_endpoint(world)
    path = f"/v3/services/{endpoint['service_id']}"

    changed = world.http.patch(path, headers=admin, json={"service": {"description": "d", "more": 1}}).json()
    gone = world.http.delete(path, headers=admin)

    assert changed["service"] == {
        "more": 1,
        "id": endpoint["service_id"],
        "name": "n",
        "type": "t",
        "enabled": True,
        "description": "d",
        "links": {"self": URL + path.removeprefix("/v3")},
    }
    assert gone.status_code == 204
    assert world.http.get(f"/v3/endpoints/{endpoint['id']}", headers=admin).status_code == 404


def test_an_endpoint_names_its_region_in_either_way(world: World) -> None:
    admin = world.as_()

    old = an_endpoint(world, region="made-by-name")
    moved = world.http.patch(f"/v3/endpoints/{old['id']}", headers=admin, json={"endpoint": {"region_id": "RegionOne"}})
    nowhere = world.http.patch(f"/v3/endpoints/{old['id']}", headers=admin, json={"endpoint": {"region_id": None}})

    assert (old["region"], old["region_id"]) == ("made-by-name", "made-by-name")
    assert world.get("/v3/regions/made-by-name", admin)["region"]["description"] == ""
    assert moved.json()["endpoint"]["region"] == "RegionOne"
    assert nowhere.json()["endpoint"]["region_id"] is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"region_id": "zzz"}, "Expecting to find endpoint region_id in region table."),
        ({"service_id": "zzz"}, "Expecting to find endpoint service_id in service table."),
        ({"url": "no url"}, "does not match"),
        ({"url": "http://x/%(unknown)s"}, "Cannot create an endpoint with an invalid URL: http://x/%(unknown)s."),
        ({"interface": "other"}, "is not one of"),
        ({"enabled": "True"}, "is not of type 'boolean'"),
    ],
)
def test_a_bad_endpoint_is_refused(world: World, fields: dict[str, object], message: str) -> None:
    good = {"service_id": world.id_of("services", "keystone"), "interface": "public", "url": "http://x"}

    answer = world.http.post("/v3/endpoints", headers=world.as_(), json={"endpoint": good | fields})

    assert answer.status_code == 400 and message in answer.json()["error"]["message"]


def test_what_is_disabled_is_in_no_catalog(world: World) -> None:
    endpoint = an_endpoint(world)
    path = f"/v3/services/{endpoint['service_id']}"
    assert "t" in types_seen(world)

    world.http.patch(path, headers=world.as_(), json={"service": {"enabled": False}})

    assert "t" not in types_seen(world)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("http://x/%(project_id)s", True),
        ("http://x/$(tenant_id)s/$(user_id)s", True),
        ("http://x/%20", True),
        ("http://x/%(project_id)", False),
        ("http://x/%(other)s", False),
        ("http://x/%(project_id", False),
        ("http://x/%z", False),
    ],
)
def test_what_an_address_may_leave_open(url: str, good: bool) -> None:
    assert is_well_formed(url) is good


def test_an_address_is_filled_in_or_not_offered() -> None:
    url = "http://x/%(tenant_id)s/$(user_id)s"

    assert filled_in(url, {"tenant_id": "p", "user_id": "u"}) == "http://x/p/u"
    assert filled_in(url, {"tenant_id": None, "user_id": "u"}) is None


def test_the_catalog_names_the_project_in_addresses_that_need_one(world: World) -> None:
    endpoint = an_endpoint(world, url="http://x/v1/%(project_id)s")
    project = world.id_of("projects", "admin")

    catalog = world.log_in("admin", "admin-secret", scope_to("admin")).json()["token"]["catalog"]
    own = world.get("/v3/auth/catalog", world.as_())["catalog"]
    system = world.log_in("admin", "admin-secret", {"system": {"all": True}}).json()["token"]["catalog"]

    urls = {one["id"]: one["url"] for service in catalog for one in service["endpoints"]}
    assert urls[endpoint["id"]] == f"http://x/v1/{project}"
    assert own == catalog
    assert endpoint["id"] not in {one["id"] for service in system for one in service["endpoints"]}


def test_a_project_with_chosen_endpoints_sees_only_those(world: World) -> None:
    admin, endpoint, project = world.as_(), an_endpoint(world), world.id_of("projects", "admin")
    path = f"/v3/OS-EP-FILTER/projects/{project}/endpoints"
    one = f"{path}/{endpoint['id']}"

    before = world.http.head(one, headers=admin).status_code
    added = [world.http.put(one, headers=admin).status_code for _ in range(2)]

    assert (before, added, world.http.get(one, headers=admin).status_code) == (404, [204, 204], 204)
    assert types_seen(world) == {"t"}
    assert types_seen(world, {"system": {"all": True}}) > {"t", "identity"}
    assert world.get(path, admin)["endpoints"] == [endpoint]
    found = world.get(f"/v3/OS-EP-FILTER/endpoints/{endpoint['id']}/projects", admin)["projects"]
    assert [row["id"] for row in found] == [project]
    assert [world.http.delete(one, headers=admin).status_code for _ in range(2)] == [204, 404]
    assert "identity" in types_seen(world)


def test_a_group_of_endpoints_is_what_its_filters_find(world: World) -> None:
    admin, endpoint, project = world.as_(), an_endpoint(world), world.id_of("projects", "admin")
    base = "OS-EP-FILTER/endpoint_groups"
    group = made(world, "endpoint_group", base, name="g", filters={"service_id": endpoint["service_id"]})
    path = f"/v3/{base}/{group['id']}"

    assert world.get(path, admin)["endpoint_group"] == group
    assert world.get(f"{path}/endpoints", admin)["endpoints"] == [endpoint]
    assert world.http.put(f"{path}/projects/{project}", headers=admin).status_code == 204
    assert types_seen(world) == {"t"}
    assert [one["id"] for one in world.get(f"{path}/projects", admin)["projects"]] == [project]
    assert world.get(f"/v3/OS-EP-FILTER/projects/{project}/endpoint_groups", admin)["endpoint_groups"] == [group]
    found = world.get(f"/v3/OS-EP-FILTER/endpoints/{endpoint['id']}/projects", admin)["projects"]
    assert [row["id"] for row in found] == [project]
    member = world.get(f"{path}/projects/{project}", admin)["project_endpoint_group"]
    assert (member["project_id"], member["endpoint_group_id"]) == (project, group["id"])

    body = {"endpoint_group": {"filters": {"interface": "admin"}, "name": "h"}}
    assert world.http.patch(path, headers=admin, json=body).json()["endpoint_group"]["filters"] == {
        "interface": "admin"
    }
    assert "t" not in types_seen(world)
    kept = {"endpoint_group": {"name": None, "filters": None, "description": "d"}}
    assert world.http.patch(path, headers=admin, json=kept).json()["endpoint_group"]["name"] == "h"
    assert world.http.delete(f"{path}/projects/{project}", headers=admin).status_code == 204
    assert world.http.delete(path, headers=admin).status_code == 204
    assert world.http.get(path, headers=admin).status_code == 404


@pytest.mark.parametrize("filters", [{"unknown": "x"}, {"interface": "other"}, []])
def test_a_group_with_odd_filters_is_refused(world: World, filters: object) -> None:
    body = {"endpoint_group": {"name": "g", "filters": filters}}

    answer = world.http.post("/v3/OS-EP-FILTER/endpoint_groups", headers=world.as_(), json=body)

    assert answer.status_code == 400
