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


def test_clients_from_before_microversions_get_the_first_whatever_they_say(world: World) -> None:
    server_id = world.active_server()

    answer = world.at("2.80").get(f"/v2/servers/{server_id}")

    assert answer.status_code == 200 and "locked" not in answer.json()["server"]
    assert "openstack-api-version" not in answer.headers
    assert world.alice.get("/v2/none").status_code == 404
    assert world.alice.get("/v2/").json()["version"]["status"] == "SUPPORTED"


@pytest.mark.parametrize("before", ["", "/2026-03-15 10:00:00", "/2026-03-15 10:00:00.5"])
def test_no_host_ever_told_its_usage_to_the_audit_log(world: World, before: str) -> None:
    world.host("one")

    answer = world.admin().get(f"/v2.1/os-instance_usage_audit_log{before}")

    [log] = answer.json().values()
    assert log["hosts_not_run"] == ["one"] and log["overall_status"] == "0 of 1 hosts done. 0 errors."
    if before:
        assert (log["period_beginning"], log["period_ending"]) == ("2026-02-01 00:00:00", "2026-03-01 00:00:00")
    assert world.admin().get("/v2.1/os-instance_usage_audit_log/now").status_code == 400
    assert world.alice.get("/v2.1/os-instance_usage_audit_log").status_code == 403


def test_no_volume_is_there_to_be_helped_with_its_snapshot(world: World) -> None:
    path, volume = "/v2.1/os-assisted-volume-snapshots", str(uuid4())
    facts = {"snapshot_id": volume, "type": "qcow2", "new_file": "f"}
    body = {"snapshot": {"volume_id": volume, "create_info": facts}}

    made = world.admin().post(path, json=body)
    gone = world.admin().delete(f"{path}/{volume}", params={"delete_info": f'{{"volume_id": "{volume}"}}'})

    for answer in (made, gone):
        assert answer.status_code == 400
        assert answer.json()["badRequest"]["message"] == f"No volume Block Device Mapping with id {volume}."
    assert world.admin().delete(f"{path}/{volume}").status_code == 400
    assert world.alice.post(path, json=body).status_code == 403


def test_nothing_is_injected_but_the_timeline_knows_that_it_was_asked_for(world: World) -> None:
    server_id = world.active_server()
    path, body = f"/v2.1/servers/{server_id}/action", {"injectNetworkInfo": None}

    assert world.alice.post(path, json=body).status_code == 403
    assert world.admin().post(path, json=body).status_code == 202
    assert world.sagas(server_id)[-1].action == "inject_network_info"


def test_a_rebuild_answers_user_data_under_its_plain_name_alone(world: World) -> None:
    server_id, image = world.active_server(), world.gallery.add()

    body = {"rebuild": {"imageRef": str(image.id)}}
    server = world.admin("2.75").post(f"/v2.1/servers/{server_id}/action", json=body).json()["server"]

    assert "user_data" in server and "OS-EXT-SRV-ATTR:user_data" not in server
