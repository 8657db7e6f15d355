"""Updates, metadata, tags, the timeline, and what hangs on a server."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from common.clock import utc_now
from services.compute.db.tables import ServerSagaEvent
from tests.unit.compute.api.world import URL, World


def test_metadata_is_merged_replaced_changed_and_removed(world: World) -> None:
    path = f"/v2.1/servers/{world.active_server(metadata={'a': '1'})}/metadata"

    merged = world.alice.post(path, json={"metadata": {"b": "2"}}).json()
    changed = world.alice.put(f"{path}/a", json={"meta": {"a": "3"}}).json()
    removed = world.alice.delete(f"{path}/b").status_code
    left = world.alice.get(path).json()
    replaced = world.alice.put(path, json={"metadata": {"c": "4"}}).json()

    assert merged == {"metadata": {"a": "1", "b": "2"}}
    assert (changed, removed, left) == ({"meta": {"a": "3"}}, 204, {"metadata": {"a": "3"}})
    assert replaced == world.alice.get(path).json() == {"metadata": {"c": "4"}}
    assert world.alice.get(f"{path}/a").json()["itemNotFound"]["message"] == "Metadata item was not found"
    assert world.alice.put(f"{path}/a", json={"meta": {"b": "1"}}).json()["badRequest"]["message"] == (
        "Request body and URI mismatch"
    )


@pytest.mark.parametrize(
    "metadata", [{"": "x"}, {"k" * 256: "x"}, {"k": "x" * 256}, {"k": 1}, {"k": None}, {"k/": "x"}, []]
)
def test_malformed_metadata_is_refused(world: World, metadata: Any) -> None:
    path = f"/v2.1/servers/{world.active_server()}/metadata"

    assert world.alice.post(path, json={"metadata": metadata}).status_code == 400
    assert world.alice.post("/v2.1/servers", json=world.order(metadata=metadata)).status_code == 400


def test_more_metadata_than_the_quota_is_forbidden(world: World) -> None:
    many = {str(number): "x" for number in range(129)}

    ordered = world.alice.post("/v2.1/servers", json=world.order(metadata=many))
    added = world.alice.post(f"/v2.1/servers/{world.active_server()}/metadata", json={"metadata": many})

    for answer in (ordered, added):
        assert answer.json() == {"forbidden": {"code": 403, "message": "Maximum number of metadata items exceeds 128"}}


def test_tags_come_and_go(world: World) -> None:
    server_id, client = world.active_server(), world.at("2.26")
    path = f"/v2.1/servers/{server_id}/tags"

    first, again = client.put(f"{path}/t1"), client.put(f"{path}/t1")

    assert (first.status_code, first.headers["location"]) == (201, f"{URL}{path}/t1")
    assert (again.status_code, first.headers["content-type"]) == (204, "text/html; charset=UTF-8")
    assert client.get(f"{path}/t1").status_code == 204
    assert client.put(path, json={"tags": ["b", "a", "b"]}).json() == {"tags": ["a", "b"]}
    assert client.delete(f"{path}/t1").json()["itemNotFound"]["message"] == f"Server {server_id} has no tag 't1'"
    assert client.delete(path).status_code == 204
    assert client.get(path).json() == {"tags": []}


@pytest.mark.parametrize("tags", [["a,b"], ["a/b"], [""], ["x" * 61], [1], [str(one) for one in range(51)]])
def test_malformed_tags_are_refused(world: World, tags: Any) -> None:
    path = f"/v2.1/servers/{world.active_server()}/tags"

    assert world.at("2.26").put(path, json={"tags": tags}).status_code == 400


def test_a_server_is_renamed_and_described(world: World) -> None:
    server_id = world.active_server()
    body = {"server": {"name": "new", "description": "d", "accessIPv4": "192.0.2.7"}}

    shown = world.at("2.19").put(f"/v2.1/servers/{server_id}", json=body).json()["server"]

    assert (shown["name"], shown["description"], shown["accessIPv4"]) == ("new", "d", "192.0.2.7")
    assert "OS-EXT-STS:vm_state" not in shown
    assert "OS-EXT-STS:vm_state" in world.at("2.75").put(f"/v2.1/servers/{server_id}", json=body).json()["server"]


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": None}, {"name": "x" * 256}, {"accessIPv4": "x"}, {"nonsense": 1}, {"flavorRef": "2"}],
)
def test_a_malformed_update_is_refused(world: World, change: dict[str, Any]) -> None:
    server_id = world.active_server()

    assert world.alice.put(f"/v2.1/servers/{server_id}", json={"server": change}).status_code == 400
    assert world.row(server_id).name == "probe"


def test_a_server_is_unpinned_and_pinned_to_its_own_zone_only(world: World) -> None:
    world.host()
    server_id, client = world.active_server(availability_zone="nova"), world.at("2.104")

    def pin(zone: str | None) -> tuple[int, Any]:
        body = {"server": {"pinned_availability_zone": zone}}
        answer = client.put(f"/v2.1/servers/{server_id}", json=body)
        return answer.status_code, answer.json().get("server", {}).get("pinned_availability_zone")

    assert [pin("nova"), pin("mars"), pin(None), pin("mars"), pin("nova")] == [
        (200, "nova"),
        (409, None),
        (200, None),
        (409, None),
        (200, "nova"),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("ips", {"addresses": {}}),
        ("os-interface", {"interfaceAttachments": []}),
        ("os-volume_attachments", {"volumeAttachments": []}),
        ("os-security-groups", {"security_groups": []}),
    ],
)
def test_nothing_hangs_on_a_server_yet(world: World, path: str, body: Any) -> None:
    server_id = world.server()

    assert world.alice.get(f"/v2.1/servers/{server_id}/{path}").json() == body
    assert world.bob.get(f"/v2.1/servers/{server_id}/{path}").status_code == 404


def note(world: World, server_id: str, **changes: Any) -> None:
    now = utc_now()
    event = {
        "saga_id": world.sagas(server_id)[0].id, "step": "guest", "is_undo": False, "began_at": now, "ended_at": now,
        "succeeded": False, "host": "one", "message": "no room", "details": "Traceback: secret",
    }  # fmt: skip
    with world.kit.database.transaction() as session:
        session.execute(insert(ServerSagaEvent), [event | changes])


def timeline(world: World, server_id: str, version: str, *, admin: bool = False) -> Any:
    client = world.admin(version) if admin else world.at(version)
    path = f"/v2.1/servers/{server_id}/os-instance-actions"
    request_id = client.get(path).json()["instanceActions"][0]["request_id"]
    return client.get(f"{path}/{request_id}").json()["instanceAction"]


def test_the_timeline_shows_owners_steps_and_operators_why(world: World) -> None:
    server_id = world.server()
    note(world, server_id)

    owners, operators = timeline(world, server_id, "2.84"), timeline(world, server_id, "2.84", admin=True)

    assert owners["action"] == "create"
    assert [set(event) for event in owners["events"]] == [{"event", "start_time", "finish_time", "result", "hostId"}]
    assert (owners["events"][0]["event"], owners["events"][0]["result"]) == ("compute_guest", "Error")
    [event] = operators["events"]
    assert (event["host"], event["details"], event["traceback"]) == ("one", "no room", "Traceback: secret")
    assert "events" not in timeline(world, server_id, "2.50")


def test_the_timeline_of_a_deleted_server_is_read_since_2_21(world: World) -> None:
    server_id = world.server()
    world.become(server_id, vm_state="deleted", deleted_at=utc_now())
    path = f"/v2.1/servers/{server_id}/os-instance-actions"

    assert world.at("2.20").get(path).status_code == 404
    assert [one["action"] for one in world.at("2.21").get(path).json()["instanceActions"]] == ["create"]


def test_the_timeline_comes_in_pages_since_2_58_and_of_others_never(world: World) -> None:
    server_id = world.server()
    world.alice.delete(f"/v2.1/servers/{server_id}")
    path = f"/v2.1/servers/{server_id}/os-instance-actions"

    page = world.at("2.58").get(f"{path}?limit=1").json()
    rest = world.at("2.58").get(page["links"][0]["href"].removeprefix(URL)).json()

    assert [one["action"] for one in page["instanceActions"] + rest["instanceActions"]] == ["delete", "create"]
    assert world.at("2.58").get(f"{path}?marker=none").status_code == 400
    assert world.bob.get(path).status_code == 404
    assert world.alice.get(f"{path}/req-none").json()["itemNotFound"]["message"] == "Action req-none not found"


def test_a_fault_is_told_and_its_details_only_to_operators(world: World) -> None:
    server_id = world.server()
    fault = {"code": 500, "message": "No host fits", "details": "trace", "created": "2026-11-22T20:12:16Z"}
    world.become(server_id, vm_state="error", task_state=None, fault=fault)

    owners = world.alice.get(f"/v2.1/servers/{server_id}").json()["server"]
    operators = world.admin().get(f"/v2.1/servers/{server_id}").json()["server"]

    assert (owners["status"], owners["fault"]["message"]) == ("ERROR", "No host fits")
    assert "details" not in owners["fault"]
    assert operators["fault"] == fault
    assert UUID(owners["id"])


def test_the_topology_of_a_guest_is_shown_since_2_78(world: World) -> None:
    cells = {"hw:numa_nodes": "2", "hw:mem_page_size": "2048", "hw:cpu_threads": "2", "hw:cpu_sockets": "1"}
    plain, divided = world.active_server(), world.active_server()
    flavor = world.row(divided).flavor | {"vcpus": 4, "memory_mib": 1024, "extra_specs": cells}
    world.become(divided, flavor=flavor)
    client = world.at("2.78")

    shown = client.get(f"/v2.1/servers/{divided}/topology").json()

    assert shown == {
        "nodes": [
            {"memory_mb": 512, "vcpu_set": [0, 1], "siblings": [[0, 1]]},
            {"memory_mb": 512, "vcpu_set": [2, 3], "siblings": [[2, 3]]},
        ],
        "pagesize_kb": 2048,
    }
    assert client.get(f"/v2.1/servers/{plain}/topology").json() == {"nodes": [], "pagesize_kb": None}
    assert world.at("2.77").get(f"/v2.1/servers/{plain}/topology").status_code == 404
