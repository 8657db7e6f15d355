"""What other services have: as this API showed it until 2.35, and as it hangs on a server.  Here there is none of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.unit.compute.api.world import World

ID = "0a1b2c3d-0000-4000-8000-000000000000"
NO_VOLUME, NO_SNAPSHOT = f"Volume {ID} could not be found.", f"Snapshot {ID} could not be found."
NO_GROUP, NO_PORT = f"Security group {ID} not found.", f"Port id {ID} could not be found."
GROUP = {"security_group": {"name": "web", "description": "d"}}


def told(answer: Any) -> tuple[int, str]:
    [error] = answer.json().values()
    assert error["code"] == answer.status_code
    return answer.status_code, error["message"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("os-volumes", "volumes"),
        ("os-volumes/detail?limit=1", "volumes"),
        ("os-snapshots", "snapshots"),
        ("os-snapshots/detail", "snapshots"),
        ("os-security-groups?all_tenants=1", "security_groups"),
    ],
)
def test_lists_are_empty_until_they_end(world: World, path: str, key: str) -> None:
    assert world.at("2.35").get(f"/v2.1/{path}").json() == {key: []}
    assert world.at("2.36").get(f"/v2.1/{path}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", f"os-volumes/{ID}", None, (404, NO_VOLUME)),
        ("DELETE", f"os-volumes/{ID}", None, (404, NO_VOLUME)),
        ("POST", "os-volumes", {"volume": {"size": 1}}, (501, "The requested functionality is not supported.")),
        ("POST", "os-volumes", {"volume": {"size": "1", "snapshot_id": ID}}, (404, NO_SNAPSHOT)),
        ("GET", f"os-snapshots/{ID}", None, (404, NO_SNAPSHOT)),
        ("DELETE", f"os-snapshots/{ID}", None, (404, NO_SNAPSHOT)),
        ("POST", "os-snapshots", {"snapshot": {"volume_id": ID, "force": "True"}}, (404, NO_VOLUME)),
        ("GET", f"os-security-groups/{ID}", None, (404, NO_GROUP)),
        ("GET", "os-security-groups/web", None, (404, "Security group web not found.")),
        ("DELETE", "os-security-groups/7", None, (400, "Security group id should be uuid")),
        ("PUT", f"os-security-groups/{ID}", GROUP, (404, NO_GROUP)),
        ("DELETE", f"os-security-groups/{ID}", None, (404, NO_GROUP)),
        ("POST", "os-security-groups", GROUP, (501, "The requested functionality is not supported.")),
        (
            "POST",
            "os-security-group-rules",
            {"security_group_rule": {"parent_group_id": ID, "cidr": 7}},
            (404, NO_GROUP),
        ),
        ("DELETE", f"os-security-group-rules/{ID}", None, (404, f"Security group rule {ID} does not exist")),
    ],
)
def test_nothing_is_found_and_nothing_can_be_made(
    world: World, method: str, path: str, body: Any, answer: tuple[int, str]
) -> None:
    assert told(world.alice.request(method, f"/v2.1/{path}", json=body)) == answer
    assert world.at("2.36").request(method, f"/v2.1/{path}", json=body).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("os-volumes", {"volume": {"size": size}})
        for size in (0, -1, "", "x", None, True)
    ]
    + [
        ("os-volumes", {"volume": {}}),
        ("os-volumes", {"volume": {"size": 1, "colour": "red"}}),
        ("os-snapshots", {"snapshot": {}}),
        ("os-security-groups", {"security_group": {"name": "x"}}),
        ("os-security-groups", {"security_group": {"name": "x" * 256, "description": ""}}),
        ("os-security-group-rules", {"security_group_rule": {"parent_group_id": "x"}}),
    ],
)  # fmt: skip
def test_a_malformed_order_is_refused_first(world: World, path: str, body: Any) -> None:
    assert world.alice.post(f"/v2.1/{path}", json=body).status_code == 400


def test_machines_without_a_hypervisor_are_looked_at_by_administrators_and_changed_by_nobody(world: World) -> None:
    path = "/v2.1/os-baremetal-nodes"

    assert world.admin().get(path).json() == {"nodes": []}
    assert world.alice.get(path).status_code == 403
    assert told(world.admin().get(f"{path}/n")) == (404, "Node n could not be found.")
    for method, more, body, command in (
        ("POST", "", {}, "node-create"),
        ("DELETE", "/n", None, "node-delete"),
        ("POST", "/n/action", {"add_interface": {"address": "x"}}, "port-create"),
        ("POST", "/n/action", {"remove_interface": None}, "port-delete"),
    ):
        sentence = f"Command not supported. Please use Ironic command {command} to perform this action."
        assert told(world.admin().request(method, path + more, json=body)) == (400, sentence)
        assert world.admin("2.36").request(method, path + more, json=body).status_code == 404
    assert world.admin().post(f"{path}/n/action", json={"dance": None}).status_code == 400
    assert world.admin().post(f"{path}/n/action", json={}).status_code == 400


def test_a_server_has_no_volumes_and_gets_none(world: World) -> None:
    server_id = world.active_server()
    path, client = f"/v2.1/servers/{server_id}/os-volume_attachments", world.at("2.85")
    body = {"volumeAttachment": {"volumeId": ID}}

    assert client.get(path).json() == {"volumeAttachments": []}
    assert told(client.post(path, json=body)) == (404, NO_VOLUME)
    assert told(client.get(f"{path}/{ID}")) == (404, f"Instance {server_id} is not attached to volume {ID}")
    assert told(client.delete(f"{path}/{ID}")) == (404, NO_VOLUME)
    assert told(client.put(f"{path}/{ID}", json=body)) == (404, f"No volume Block Device Mapping with id {ID}.")


def test_only_services_exchange_a_volume(world: World) -> None:
    path = f"/v2.1/servers/{world.active_server()}/os-volume_attachments/{ID}"
    body = {"volumeAttachment": {"volumeId": str(uuid4())}}

    assert world.at("2.84").put(path, json=body).status_code == world.at("2.85").put(path, json=body).status_code == 403
    assert told(world.admin("2.84").put(path, json=body)) == (404, NO_VOLUME)


@pytest.mark.parametrize(
    ("version", "state", "status"), [("2.19", "shelved", 409), ("2.20", "shelved", 404), ("2.90", "rescued", 409)]
)
def test_a_volume_is_looked_for_once_the_server_could_have_it(
    world: World, version: str, state: str, status: int
) -> None:
    server_id = world.active_server()
    world.become(server_id, vm_state=state)

    body = {"volumeAttachment": {"volumeId": ID}}
    answer = world.at(version).post(f"/v2.1/servers/{server_id}/os-volume_attachments", json=body)

    refused = f"Cannot 'attach_volume' instance {server_id} while it is in vm_state {state}"
    assert told(answer) == (status, NO_VOLUME if status == 404 else refused)


@pytest.mark.parametrize(
    ("version", "wrong"),
    [
        ("2.1", {"volumeId": "x"}),
        ("2.1", {"volumeId": ID, "device": "hda"}),
        ("2.48", {"volumeId": ID, "tag": "t"}),
        ("2.78", {"volumeId": ID, "delete_on_termination": True}),
        ("2.104", {}),
    ],
)
def test_a_malformed_attachment_is_refused(world: World, version: str, wrong: Any) -> None:
    path = f"/v2.1/servers/{world.active_server()}/os-volume_attachments"

    assert world.at(version).post(path, json={"volumeAttachment": wrong}).status_code == 400


def test_a_server_has_no_interfaces_and_gets_none(world: World) -> None:
    server_id = world.active_server()
    path, client = f"/v2.1/servers/{server_id}/os-interface", world.at("2.49")
    project = world.row(server_id).project_id
    nothing = f"No specific network was requested and none are available for project '{project}'."

    def asked(**wanted: Any) -> tuple[int, str]:
        return told(client.post(path, json={"interfaceAttachment": wanted}))

    assert client.get(path).json() == {"interfaceAttachments": []}
    assert told(client.get(f"{path}/{ID}")) == told(client.delete(f"{path}/{ID}")) == (404, NO_PORT)
    assert asked(port_id=ID) == (404, NO_PORT)
    assert asked(net_id=ID, tag="t") == (404, f"Network {ID} could not be found.")
    assert asked() == told(client.post(path)) == (400, nothing)
    assert asked(net_id=ID, port_id=ID) == (400, "Must not input both network_id and port_id")
    assert asked(fixed_ips=[{"ip_address": "10.0.0.1"}])[0] == 400
    world.become(server_id, vm_state="suspended")
    assert asked(port_id=ID) == (
        409,
        f"Cannot 'attach_interface' instance {server_id} while it is in vm_state suspended",
    )


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"addFixedIp": {"networkId": ID}}, (400, f"No fixed IP addresses available for network: {ID}")),
        ({"removeFixedIp": {"address": "10.0.0.1"}}, (400, "Instance {} does not have fixed IP '10.0.0.1'.")),
        ({"addFloatingIp": {"address": "10.0.0.1"}}, (400, "Instance network is not ready yet")),
        ({"removeFloatingIp": {"address": "10.0.0.1"}}, (404, "Floating IP not found for address 10.0.0.1.")),
        ({"resetNetwork": None}, (410, "This resource is no longer available.  No forwarding address is given.")),
    ],
)
def test_old_actions_on_addresses_find_none_until_they_end(world: World, body: Any, answer: tuple[int, str]) -> None:
    server_id = world.active_server()
    path = f"/v2.1/servers/{server_id}/action"

    assert told(world.at("2.43").post(path, json=body)) == (answer[0], answer[1].format(server_id))
    assert world.at("2.44").post(path, json=body).status_code == (410 if "resetNetwork" in body else 404)


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_a_security_group_is_not_found_at_any_version(world: World, verb: str) -> None:
    server_id = world.active_server()
    path, project = f"/v2.1/servers/{server_id}/action", world.row(server_id).project_id

    answer = world.at("2.104").post(path, json={f"{verb}SecurityGroup": {"name": "web"}})

    assert told(answer) == (404, f"Security group web is not found for project {project}")
    assert world.alice.post(path, json={f"{verb}SecurityGroup": {"name": ""}}).status_code == 400
    assert world.alice.get(f"/v2.1/servers/{server_id}/os-security-groups").json() == {"security_groups": []}


def test_a_server_has_no_shares_since_they_exist(world: World) -> None:
    server_id = world.active_server()
    path, client, body = f"/v2.1/servers/{server_id}/shares", world.at("2.97"), {"share": {"share_id": ID}}

    assert client.get(path).json() == {"shares": []}
    assert told(client.get(f"{path}/{ID}")) == (404, f"Share {ID} could not be found.")
    assert told(client.delete(f"{path}/{ID}")) == (404, f"Share {ID} could not be found.")
    assert told(client.post(path, json=body))[0] == 409
    world.become(server_id, vm_state="stopped")
    assert told(client.post(path, json=body)) == (404, f"Share {ID} could not be found.")
    assert world.at("2.96").get(path).status_code == 404


def test_servers_had_another_name_until_2_102(world: World) -> None:
    server_id = world.active_server(name="one")
    path = "/v2.1/os-volumes_boot"

    assert [one["name"] for one in world.at("2.102").get(path).json()["servers"]] == ["one"]
    assert world.alice.get(f"{path}/{server_id}").json()["server"]["id"] == server_id
    assert world.alice.post(f"{path}/{server_id}/action", json={"os-stop": None}).status_code == 202
    assert world.alice.post(path, json=world.order()).status_code == 202
    assert world.at("2.103").get(path).status_code == world.alice.get(f"{path}/{server_id}/ips").status_code == 404
