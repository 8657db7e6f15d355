"""What old clients ask for: os-hosts, networks, things that are gone; and what other services tell of servers."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from services.compute.api.removed import GONE
from tests.unit.compute.api.world import World

EVENTS = "/v2.1/os-server-external-events"


@pytest.mark.parametrize("path", GONE)
def test_what_is_gone_says_so(world: World, path: str) -> None:
    for method in GONE[path].split():
        answer = world.alice.request(method, "/v2.1" + path.format(item_id="1", part_id="x"))
        assert (answer.status_code, answer.json()["computeFault"]["code"]) == (410, 410)


def test_hosts_are_listed_and_shown_until_2_42(world: World) -> None:
    world.host("one", vcpus=4, memory_mib=8192, disk_gib=100)
    world.active_server("one")

    listed = world.admin("2.42").get("/v2.1/os-hosts").json()["hosts"]
    shown = world.admin().get("/v2.1/os-hosts/one").json()["host"]

    assert listed == [{"host_name": "one", "service": "compute", "zone": "nova"}]
    by_project = {one["resource"]["project"]: one["resource"] for one in shown}
    assert (by_project["(total)"]["cpu"], by_project["(total)"]["disk_gb"]) == (4, 100)
    assert (by_project["(used_max)"]["cpu"], by_project["(used_max)"]["memory_mb"]) == (1, 512)
    assert len(by_project) == 4
    assert world.admin().get("/v2.1/os-hosts?zone=elsewhere").json() == {"hosts": []}
    assert world.admin("2.43").get("/v2.1/os-hosts").status_code == 404
    assert world.alice.get("/v2.1/os-hosts").status_code == 403


def test_a_host_is_switched_off_and_on(world: World) -> None:
    world.host("one")

    off = world.admin().put("/v2.1/os-hosts/one", json={"status": "Disable"})

    assert off.json() == {"host": "one", "status": "disabled"}
    assert world.admin().get("/v2.1/os-hosts").json() == {"hosts": []}
    on = world.admin().put("/v2.1/os-hosts/one", json={"status": "enable"})
    assert on.json() == {"host": "one", "status": "enabled"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nobody", None, 404),
        ("PUT", "/nobody", {"status": "enable"}, 404),
        ("PUT", "/one", {}, 400),
        ("PUT", "/one", {"status": "dance"}, 400),
        ("PUT", "/one", {"dance": "enable"}, 400),
        ("PUT", "/one", {"maintenance_mode": "enable"}, 501),
        ("GET", "/one/reboot", None, 501),
        ("GET", "/one/startup", None, 501),
        ("GET", "/nobody/shutdown", None, 404),
        ("GET", "/one/dance", None, 404),
    ],
)
def test_what_hosts_do_not_do_is_refused(world: World, method: str, path: str, body: Any, status: int) -> None:
    world.host("one")

    assert world.admin().request(method, f"/v2.1/os-hosts{path}", json=body).status_code == status


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("os-networks", "networks"),
        ("os-tenant-networks", "networks"),
        ("os-floating-ips", "floating_ips"),
        ("os-floating-ip-pools", "floating_ip_pools"),
    ],
)
def test_lists_of_networks_are_empty_until_they_end(world: World, path: str, key: str) -> None:
    assert world.at("2.35").get(f"/v2.1/{path}").json() == {key: []}
    assert world.at("2.36").get(f"/v2.1/{path}").status_code == 404
    assert world.alice.get(f"/v2.1/{path}/{uuid4()}").status_code == 404


def test_an_address_can_not_be_had_where_there_are_none(world: World) -> None:
    assert world.alice.post("/v2.1/os-floating-ips", json={}).status_code == 404
    assert world.alice.delete(f"/v2.1/os-floating-ips/{uuid4()}").status_code == 404


def test_each_event_is_answered_by_itself(world: World) -> None:
    placed, waiting = world.active_server(), world.server()
    events = [
        {"name": "network-changed", "server_uuid": placed, "tag": "port"},
        {"name": "network-vif-plugged", "server_uuid": waiting},
        {"name": "network-vif-plugged", "server_uuid": str(uuid4())},
        {"name": "volume-extended", "server_uuid": placed},
    ]

    good = world.admin("2.51").post(EVENTS, json={"events": events[:1]})
    mixed = world.admin("2.51").post(EVENTS, json={"events": events})

    assert good.status_code == 200
    assert good.json()["events"] == [events[0] | {"status": "completed", "code": 200}]
    assert mixed.status_code == 207
    assert [one["code"] for one in mixed.json()["events"]] == [200, 422, 404, 400]


@pytest.mark.parametrize(
    "events",
    [
        [],
        None,
        [{}],
        [{"name": "dance", "server_uuid": "6a2f1b1c-0b7e-4f0a-9d5b-1f2e3d4c5b6a"}],
        [{"name": "network-changed", "server_uuid": "x"}],
    ],
)
def test_a_malformed_event_is_refused(world: World, events: Any) -> None:
    assert world.admin().post(EVENTS, json={"events": events}).status_code == 400


def test_events_have_the_names_of_their_version_and_are_not_for_everybody(world: World) -> None:
    event = {"name": "volume-extended", "server_uuid": world.active_server(), "tag": "x"}

    assert world.admin("2.50").post(EVENTS, json={"events": [event]}).status_code == 400
    assert world.alice.post(EVENTS, json={"events": [event]}).status_code == 403
