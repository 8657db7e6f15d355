"""Servers made, looked at and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compute.api.world import URL, World


def test_a_new_server_is_accepted_with_a_saga_that_boots_it(world: World) -> None:
    answer = world.alice.post("/v2.1/servers", json=world.order())

    server = answer.json()["server"]
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{URL}/v2.1/servers/{server['id']}"
    assert set(server) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert server["security_groups"] == [{"name": "default"}]
    assert [(saga.kind, saga.action, saga.request_id) for saga in world.sagas(server["id"])] == [
        ("boot_server", "create", answer.headers["x-openstack-request-id"])
    ]
    shown = world.alice.get(f"/v2.1/servers/{server['id']}").json()["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("BUILD", "scheduling")


def test_the_same_request_again_makes_another_server(world: World) -> None:
    order = world.order()

    first, second = (world.alice.post("/v2.1/servers", json=order).json()["server"]["id"] for _ in range(2))

    assert first != second
    assert len(world.alice.get("/v2.1/servers").json()["servers"]) == 2


def test_deleting_cancels_what_runs_and_happens_once(world: World) -> None:
    server_id = world.server()

    statuses = [world.alice.delete(f"/v2.1/servers/{server_id}").status_code for _ in range(2)]

    assert statuses == [204, 204]
    assert [(saga.kind, saga.is_cancelled) for saga in world.sagas(server_id)] == [
        ("boot_server", True),
        ("delete_server", False),
    ]
    assert world.alice.get(f"/v2.1/servers/{server_id}").json()["server"]["OS-EXT-STS:task_state"] == "deleting"


@pytest.mark.parametrize("method", ["get", "delete"])
def test_what_belongs_to_others_looks_like_what_does_not_exist(world: World, method: str) -> None:
    server_id = world.server()
    nobodys = "a0e4475e-22fb-4d30-add2-bbb808cf797a"

    others = getattr(world.bob, method)(f"/v2.1/servers/{server_id}")
    unknown = getattr(world.bob, method)(f"/v2.1/servers/{nobodys}")

    assert others.status_code == unknown.status_code == 404
    assert others.text.replace(server_id, nobodys) == unknown.text
    assert others.json() == {"itemNotFound": {"code": 404, "message": f"Instance {server_id} could not be found."}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"flavorRef": "nope"}, "Flavor nope could not be found."),
        ({"imageRef": "a0e4475e-22fb-4d30-add2-bbb808cf797a"}, "Can not find requested image"),
        ({"imageRef": ""}, "Invalid imageRef provided."),
        ({"key_name": "nokey"}, "Invalid key_name provided."),
        ({"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
        ({"availability_zone": "mars"}, "The requested availability zone is not available"),
        ({"security_groups": [{"name": "web"}]}, "Security group web not found."),
        (
            {"networks": [{"uuid": "a0e4475e-22fb-4d30-add2-bbb808cf797a"}]},
            "Network a0e4475e-22fb-4d30-add2-bbb808cf797a could not be found.",
        ),
    ],
)
def test_an_order_that_cannot_be_met_is_refused_and_leaves_nothing(
    world: World, changes: dict[str, Any], sentence: str
) -> None:
    answer = world.alice.post("/v2.1/servers", json=world.order(**changes))

    assert (answer.status_code, answer.json()) == (400, {"badRequest": {"code": 400, "message": sentence}})
    assert world.alice.get("/v2.1/servers").json() == {"servers": []}


def test_an_address_is_kept_as_everybody_writes_it(world: World) -> None:
    server_id = world.server(accessIPv6="0000:0000:0000:0000:0000:babe:220.12.22.2")

    assert world.alice.get(f"/v2.1/servers/{server_id}").json()["server"]["accessIPv6"] == "::babe:dc0c:1602"
