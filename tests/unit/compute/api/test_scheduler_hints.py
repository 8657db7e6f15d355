"""What may be hinted at the scheduler: known hints in their forms, others in any."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compute.api.world import World

ID = "6a2f1b1c-0b7e-4f0a-9d5b-1f2e3d4c5b6a"


def order(world: World, hints: Any, name: str = "os:scheduler_hints") -> Any:
    return world.alice.post("/v2.1/servers", json=world.order() | {name: hints})


@pytest.mark.parametrize("name", ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"])
@pytest.mark.parametrize(
    "hints",
    [
        {}, {"different_host": ID}, {"different_host": [ID, ID]}, {"same_host": [ID]}, {"same_host": "web"},
        {"query": '[">=", "$free_ram_mb", 1024]'}, {"query": {"a": 1}}, {"build_near_host_ip": "10.0.0.1", "cidr": "/24"},
        {"target_cell": "c1", "different_cell": ["c2"]}, {"of_mine": {"any": ["thing", None, 5]}},
    ],
)  # fmt: skip
def test_hints_are_kept_as_they_were_given(world: World, hints: dict[str, Any], name: str) -> None:
    answer = order(world, hints, name)

    assert answer.status_code == 202, answer.text
    assert world.row(answer.json()["server"]["id"]).hints == hints


def test_each_hint_is_shown_as_a_list(world: World) -> None:
    server_id = order(world, {"same_host": ID, "different_host": [ID, ID], "rack": "7"}).json()["server"]["id"]

    shown = world.at("2.100").get(f"/v2.1/servers/{server_id}").json()["server"]
    [listed] = world.at("2.100").get("/v2.1/servers/detail").json()["servers"]

    hints = {"same_host": [ID], "different_host": [ID, ID], "rack": ["7"]}
    assert shown["scheduler_hints"] == listed["scheduler_hints"] == hints


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ("near", "object"), (None, "object"), ({"group": "web"}, "is not a 'uuid'"), ({"group": None}, "is not a 'uuid'"),
        ({"different_host": "web"}, "is not a 'uuid'"), ({"same_host": [5]}, "not of type 'string'"),
        ({"query": 5}, "is not of type 'string', 'object'"), ({"build_near_host_ip": "10.0.0"}, "is not a 'ip-address'"),
        ({"cidr": "24"}, "is not of the form"), ({"target_cell": ""}, "is not a name"), ({"different_cell": 1}, "is not of type"),
    ],
)  # fmt: skip
def test_hints_of_another_form_are_refused(world: World, hints: Any, said: str) -> None:
    answer = order(world, hints)

    assert answer.status_code == 400
    message = answer.json()["badRequest"]["message"]
    assert message.startswith("Invalid input for field/attribute") and said in message
