"""Quotas: real limits, counted from rows."""

from __future__ import annotations

from typing import Any

import pytest

from services.compute.core.quotas import Amount, fitting, must_fit
from tests.unit.compute.api.world import ALICE, BOB, World

PATH = f"/v2.1/os-quota-sets/{ALICE}"


def limit(world: World, **limits: int) -> Any:
    answer = world.admin().put(PATH, json={"quota_set": limits})
    assert answer.status_code == 200, answer.text
    return answer.json()["quota_set"]


def test_a_server_beyond_the_quota_is_refused_in_novas_words(world: World) -> None:
    limit(world, instances=3)
    world.server()

    answer = world.alice.post("/v2.1/servers", json=world.order(min_count=9))

    message = "Quota exceeded for instances: Requested 9, but already used 1 of 3 instances"
    assert (answer.status_code, answer.json()) == (403, {"forbidden": {"code": 403, "message": message}})
    assert len(world.alice.get("/v2.1/servers").json()["servers"]) == 1


@pytest.mark.parametrize(("resource", "most"), [("cores", 1), ("ram", 600)])
def test_vcpus_and_memory_count_too(world: World, resource: str, most: int) -> None:
    limit(world, **{resource: most})
    world.server()

    answer = world.alice.post("/v2.1/servers", json=world.order())

    assert answer.status_code == 403
    assert answer.json()["forbidden"]["message"].startswith(f"Quota exceeded for {resource}: Requested")


def test_a_request_for_some_gets_as_many_as_fit_and_numbered_names(world: World) -> None:
    limit(world, instances=3)

    answer = world.alice.post(
        "/v2.1/servers", json=world.order(name="x", min_count=1, max_count=5, return_reservation_id=True)
    )

    assert (answer.status_code, list(answer.json())) == (202, ["reservation_id"])
    assert {one["name"] for one in world.alice.get("/v2.1/servers").json()["servers"]} == {"x-1", "x-2", "x-3"}


def test_what_is_deleted_no_longer_counts(world: World) -> None:
    limit(world, instances=1)
    server_id = world.server()
    assert world.alice.post("/v2.1/servers", json=world.order()).status_code == 403

    world.become(server_id, deleted_at=world.row(server_id).created_at, vm_state="deleted")

    assert world.alice.post("/v2.1/servers", json=world.order()).status_code == 202


def test_a_project_sees_its_limits_and_use(world: World) -> None:
    limit(world, instances=7)
    world.server()

    absolute = world.alice.get("/v2.1/limits").json()["limits"]["absolute"]
    detail = world.admin().get(f"{PATH}/detail").json()["quota_set"]

    assert (absolute["maxTotalInstances"], absolute["totalInstancesUsed"], absolute["totalRAMUsed"]) == (7, 1, 512)
    assert detail["instances"] == {"limit": 7, "in_use": 1, "reserved": 0}
    assert world.alice.get(PATH).json()["quota_set"]["instances"] == 7
    assert world.alice.get(f"{PATH}/defaults").json()["quota_set"]["instances"] == 10


def test_a_limit_below_the_use_needs_force_and_goes_with_a_delete(world: World) -> None:
    world.server()

    refused = world.admin().put(PATH, json={"quota_set": {"instances": 0}})
    forced = world.admin().put(PATH, json={"quota_set": {"instances": 0, "force": True}})
    deleted = world.admin().delete(PATH)

    assert refused.json()["badRequest"]["message"] == (
        "Quota limit 0 for instances must be greater than or equal to already used and reserved 1."
    )
    assert (forced.status_code, forced.json()["quota_set"]["instances"]) == (200, 0)
    assert "id" not in forced.json()["quota_set"]
    assert deleted.status_code == 202
    assert world.alice.get(PATH).json()["quota_set"]["instances"] == 10


def test_others_limits_are_not_ones_own_to_see_or_set(world: World) -> None:
    others = f"/v2.1/os-quota-sets/{BOB}"

    assert world.alice.get(others).status_code == 403
    assert world.alice.put(PATH, json={"quota_set": {"instances": 1000}}).status_code == 403
    assert world.alice.get(f"/v2.1/limits?tenant_id={BOB}").status_code == 403


@pytest.mark.parametrize(
    "body", [{"quota_set": {"nonsense": 1}}, {"quota_set": {"cores": -2}}, {"quota_set": {"cores": "x"}}, {}, None, []]
)
def test_a_malformed_limit_is_refused(world: World, body: Any) -> None:
    assert world.admin().put(PATH, json=body).status_code == 400


@pytest.mark.parametrize(
    ("version", "gone"), [("2.1", set()), ("2.36", {"fixed_ips"}), ("2.57", {"fixed_ips", "injected_files"})]
)
def test_limits_of_what_is_gone_are_gone(world: World, version: str, gone: set[str]) -> None:
    shown = set(world.at(version).get(PATH).json()["quota_set"])

    assert {"fixed_ips", "injected_files"} - shown == gone


def test_an_unlimited_resource_takes_any_amount() -> None:
    must_fit(Amount(10**6, 10**6, 10**9), Amount(), {"instances": -1, "cores": -1, "ram": -1})


def test_as_many_fit_as_the_tightest_resource_allows() -> None:
    limits = {"instances": 10, "cores": 5, "ram": -1}

    assert fitting(1, 8, Amount(1, 2, 512), Amount(1, 1, 512), limits) == 2
