"""Null in a body: only where Nova takes it, and never a surprise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compute.api.world import ALICE, World

Body = dict[str, Any]

NOBODY = "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a"
A_GROUP = {"server_group": {"name": "g", "policy": "affinity", "rules": None}}


def told(field: str, kinds: str) -> str:
    return f"Invalid input for field/attribute {field}. Value: None. None is not of type {kinds}"


@pytest.mark.parametrize(
    ("field", "kinds"),
    [
        ("OS-DCF:diskConfig", "'string'"),
        ("hostname", "'string'"),
        ("accessIPv4", "'string'"),
        ("accessIPv6", "'string'"),
        ("name", "'string'"),
    ],
)
def test_a_change_of_a_server_to_nothing_is_refused(world: World, field: str, kinds: str) -> None:
    server_id = world.server()

    answer = world.alice.put(f"/v2.1/servers/{server_id}", json={"server": {field: None}}, headers=at("2.104"))

    assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, told(field, kinds))


@pytest.mark.parametrize(
    ("field", "kinds"),
    [
        ("adminPass", "'string'"),
        ("key_name", "'string'"),
        ("user_data", "'string'"),
        ("availability_zone", "'string'"),
        ("max_count", "'integer', 'string'"),
        ("security_groups", "'array'"),
        ("networks", "'array', 'string'"),
    ],
)
def test_an_order_with_nothing_where_something_belongs_is_refused(world: World, field: str, kinds: str) -> None:
    answer = world.alice.post("/v2.1/servers", json=world.order(**{field: None}))

    assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, told(field, kinds))


@pytest.mark.parametrize(
    ("method", "path", "version", "body", "field", "kinds"),
    [
        ("PUT", f"/os-quota-sets/{ALICE}", "2.1", {"quota_set": {"cores": None}}, "cores", "'integer', 'string'"),
        ("PUT", "/os-quota-class-sets/default", "2.1", {"quota_class_set": {"ram": None}}, "ram", "'integer', 'string'"),
        ("POST", "/os-keypairs", "2.1", {"keypair": {"name": "k", "public_key": None}}, "public_key", "'string'"),
        ("PUT", f"/os-services/{NOBODY}", "2.53", {"forced_down": None}, "forced_down", "'boolean', 'string'"),
        ("POST", "/os-server-groups", "2.64", A_GROUP, "rules", "'object'"),
    ],
)  # fmt: skip
def test_other_bodies_too(
    world: World, method: str, path: str, version: str, body: Body, field: str, kinds: str
) -> None:
    answer = world.admin().request(method, f"/v2.1{path}", json=body, headers=at(version))

    assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, told(field, kinds))


def test_a_description_may_be_nothing(world: World) -> None:
    server_id = world.server()

    answer = world.alice.put(f"/v2.1/servers/{server_id}", json={"server": {"description": None}}, headers=at("2.19"))

    assert (answer.status_code, answer.json()["server"]["description"]) == (200, None)


@pytest.mark.parametrize("field", ["key_name", "user_data", "description", "trusted_image_certificates"])
def test_a_rebuild_takes_away_what_it_names_as_nothing(world: World, field: str) -> None:
    server_id = world.active_server()
    image = world.row(server_id).image_id

    answer = world.alice.post(
        f"/v2.1/servers/{server_id}/action", json={"rebuild": {"imageRef": str(image), field: None}}, headers=at("2.90")
    )

    assert answer.status_code == 202, answer.text


def test_a_zone_taken_from_an_aggregate_is_nothing(world: World) -> None:
    made = world.admin().post("/v2.1/os-aggregates", json={"aggregate": {"name": "a", "availability_zone": None}})

    assert (made.status_code, made.json()["aggregate"]["availability_zone"]) == (200, None)


@pytest.mark.parametrize(
    ("action", "options", "said"),
    [
        ("rescue", "", "'' is not of type 'object'"),
        ("rescue", 0, "0 is not of type 'object'"),
        ("lock", [], "[] is not of type 'object'"),
        ("os-getConsoleOutput", None, "None is not of type 'object'"),
        ("trigger_crash_dump", 0, "0 is not of type 'null'"),
    ],
)
def test_options_of_the_wrong_kind_are_refused(world: World, action: str, options: Any, said: str) -> None:
    path = f"/v2.1/servers/{world.active_server()}/action"

    answer = world.alice.post(path, json={action: options}, headers=at("2.73"))

    assert answer.status_code == 400 and said in answer.json()["badRequest"]["message"]


@pytest.mark.parametrize("action", ["rescue", "lock", "trigger_crash_dump"])
def test_an_action_without_options_has_null(world: World, action: str) -> None:
    path = f"/v2.1/servers/{world.active_server()}/action"

    assert world.alice.post(path, json={action: None}, headers=at("2.73")).status_code in (200, 202)


def test_a_value_of_the_wrong_kind_is_told_under_the_name_that_the_body_has(world: World) -> None:
    answer = world.alice.post("/v2.1/servers", json=world.order(networks=[1]))

    message = "Invalid input for field/attribute networks. Value: 1. 1 is not of type 'object'"
    assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, message)


def test_a_host_name_of_one_letter_is_one_since_it_may_have_dots(world: World) -> None:
    server_id = world.server()
    one, other = (
        world.alice.put(f"/v2.1/servers/{server_id}", json={"server": {"hostname": "x"}}, headers=at(version))
        for version in ("2.93", "2.94")
    )

    assert one.status_code == 400 and other.status_code == 200, other.text


def test_a_class_of_quotas_takes_groups_at_every_version_and_shows_them_since_2_50(world: World) -> None:
    path, body = "/v2.1/os-quota-class-sets/default", {"quota_class_set": {"server_groups": 3}}
    old = world.admin().put(path, json=body)
    new = world.admin().get(path, headers=at("2.50"))

    assert old.status_code == 200 and "server_groups" not in old.json()["quota_class_set"]
    assert new.json()["quota_class_set"]["server_groups"] == 3


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": f"compute {version}"}
