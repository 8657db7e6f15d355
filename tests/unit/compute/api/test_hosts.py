"""Services, hypervisors and zones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from common.clock import utc_now
from common.db.counting import counted
from services.compute.db.tables import ServiceRow
from tests.unit.compute.api.world import UPTIME, URL, World


def services(world: World, version: str = "2.53") -> Any:
    return world.admin(version).get("/v2.1/os-services").json()["services"]


@pytest.mark.parametrize(
    "path", ["os-services", "os-hypervisors", "os-hypervisors/detail", "os-availability-zone/detail", "os-aggregates"]
)
def test_hosts_are_for_operators(world: World, path: str) -> None:
    world.host()

    assert world.alice.get(f"/v2.1/{path}").status_code == 403
    assert world.admin().get(f"/v2.1/{path}").status_code == 200


def test_a_host_is_switched_off_with_a_reason_and_on_again(world: World) -> None:
    world.host()
    [service] = services(world)
    path = f"/v2.1/os-services/{service['id']}"

    off = world.admin("2.53").put(path, json={"status": "disabled", "disabled_reason": "disk"}).json()["service"]
    on = world.admin("2.53").put(path, json={"status": "enabled"}).json()["service"]

    assert (off["status"], off["disabled_reason"], off["state"]) == ("disabled", "disk", "up")
    assert (on["status"], on["disabled_reason"]) == ("enabled", None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "No updates were requested. Fields 'status' or 'forced_down' should be specified."),
        ({"disabled_reason": "x"}, "Specifying disabled_reason requires that status be set to disabled."),
        (
            {"status": "off"},
            "Invalid input for field/attribute status. Value: off. 'off' is not one of ['enabled', 'disabled']",
        ),
    ],
)
def test_an_update_that_says_nothing_is_refused(world: World, body: Any, sentence: str) -> None:
    world.host()

    answer = world.admin("2.53").put(f"/v2.1/os-services/{services(world)[0]['id']}", json=body)

    assert answer.json() == {"badRequest": {"code": 400, "message": sentence}}


def test_before_2_53_services_are_named_in_the_body(world: World) -> None:
    world.host()
    named = {"host": "one", "binary": "nova-compute"}

    def put(verb: str, **more: Any) -> Any:
        return world.admin("2.11").put(f"/v2.1/os-services/{verb}", json=named | more).json()

    assert put("disable-log-reason", disabled_reason="x") == {
        "service": named | {"status": "disabled", "disabled_reason": "x"}
    }
    assert put("enable") == {"service": named | {"status": "enabled"}}
    assert put("force-down", forced_down=True) == {"service": named | {"forced_down": True}}
    assert services(world)[0]["state"] == "down"
    assert put("nonsense")["itemNotFound"]["message"] == "Unknown action"
    assert put("enable", host="two")["itemNotFound"]["message"] == "Could not find binary nova-compute on host two."


def test_a_silent_host_is_down_and_its_zone_not_available(world: World) -> None:
    world.host()
    with world.kit.database.transaction() as session:
        session.execute(update(ServiceRow).values(seen_at=utc_now() - timedelta(minutes=5)))
    server_id = world.active_server()

    assert services(world)[0]["state"] == "down"
    assert world.alice.get("/v2.1/os-availability-zone").json() == {
        "availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": False}, "hosts": None}]
    }
    assert world.admin("2.16").get(f"/v2.1/servers/{server_id}").json()["server"]["host_status"] == "DOWN"


def test_a_host_with_servers_is_not_forgotten(world: World) -> None:
    world.host()
    server_id = world.active_server()
    path = f"/v2.1/os-services/{services(world)[0]['id']}"

    refused = world.admin("2.53").delete(path)
    world.become(server_id, deleted_at=utc_now())

    assert refused.status_code == 409
    assert world.admin("2.53").delete(path).status_code == 204
    assert services(world) == []


def test_a_hypervisor_tells_what_it_has_and_who_lives_there(world: World) -> None:
    host_id = world.host()
    server_id = world.active_server()

    old = world.admin("2.1").get("/v2.1/os-hypervisors/detail").json()["hypervisors"][0]
    new = world.admin("2.88").get(f"/v2.1/os-hypervisors/{host_id}?with_servers=true").json()["hypervisor"]

    assert (old["memory_mb"], old["free_ram_mb"], old["running_vms"], old["vcpus"]) == (8192, 7680, 1, 4)
    assert isinstance(old["cpu_info"], str)
    assert new["servers"] == [{"name": "probe", "uuid": server_id}]
    assert new["uptime"].endswith(UPTIME)


def test_a_host_tells_how_long_it_has_been_up_while_it_is(world: World) -> None:
    host_id = world.host()
    path = f"/v2.1/os-hypervisors/{host_id}"

    while_up = world.admin("2.53").get(f"{path}/uptime")
    world.admin("2.53").put(f"/v2.1/os-services/{services(world)[0]['id']}", json={"forced_down": True})
    while_down = world.admin("2.53").get(f"{path}/uptime")

    assert while_up.json()["hypervisor"]["uptime"].endswith(UPTIME)
    assert set(while_up.json()["hypervisor"]) == {"id", "hypervisor_hostname", "state", "status", "uptime"}
    assert while_down.status_code == 400
    assert world.admin("2.88").get(path).json()["hypervisor"]["uptime"] is None
    assert world.admin("2.88").get(f"{path}/uptime").status_code == 404


def test_hypervisors_come_in_pages_and_by_pattern(world: World) -> None:
    for name in ("one", "two"):
        world.host(name)
    client = world.admin("2.53")

    page = client.get("/v2.1/os-hypervisors?limit=1").json()
    found = client.get("/v2.1/os-hypervisors?hypervisor_hostname_pattern=tw").json()["hypervisors"]

    first = page["hypervisors"][0]["id"]
    assert page["hypervisors_links"] == [{"rel": "next", "href": f"{URL}/v2.1/os-hypervisors?limit=1&marker={first}"}]
    assert [one["hypervisor_hostname"] for one in found] == ["two"]
    assert client.get("/v2.1/os-hypervisors?hypervisor_hostname_pattern=none").status_code == 404
    assert client.get("/v2.1/os-hypervisors/one").json()["badRequest"]["message"] == "Invalid uuid one"
    assert world.admin().get("/v2.1/os-hypervisors/one").json()["itemNotFound"]["message"] == (
        "Hypervisor with ID 'one' could not be found."
    )


def test_hypervisors_take_as_many_queries_for_many_as_for_one(world: World) -> None:
    used = []

    for name in ("one", "two", "three"):
        world.host(name)
        with counted(world.kit.database) as sent:
            world.admin("2.53").get("/v2.1/os-hypervisors/detail?with_servers=true")
        used.append(len(sent))

    assert used[0] == used[2]


def test_an_operator_may_choose_the_host_and_a_member_may_not(world: World) -> None:
    world.host()

    refused = world.alice.post("/v2.1/servers", json=world.order(availability_zone="nova:one"))
    chosen = world.server(world.admin(), availability_zone="nova:one")
    wished = world.server(world.admin("2.74"), host="one", networks="none")
    unknown = world.admin("2.74").post("/v2.1/servers", json=world.order(host="two", networks="none"))

    assert refused.status_code == 403
    assert [world.row(one).wanted_zone for one in (chosen, wished)] == ["nova:one", ":one"]
    assert unknown.json()["badRequest"]["message"] == "Compute host two could not be found."
