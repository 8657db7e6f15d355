"""Quotas: real limits, counted from rows."""

from __future__ import annotations

from typing import Any

import pytest

from services.compute.core.quotas import Account, Amount, fitting, must_fit
from tests.unit.compute.api.world import ALICE, ALICES_USER, BOB, World

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
    must_fit(Amount(10**6, 10**6, 10**9), Account(Amount(), {"instances": -1, "cores": -1, "ram": -1}))


def test_as_many_fit_as_the_tightest_resource_allows() -> None:
    limits = {"instances": 10, "cores": 5, "ram": -1}

    assert fitting(1, 8, Amount(1, 2, 512), Account(Amount(1, 1, 512), limits)) == 2


def test_a_project_that_identity_does_not_know_has_no_quota(world: World) -> None:
    world.registry.unknown.add("gone")
    body = {"quota_set": {"cores": 1}}

    answers = [world.admin().get(f"/v2.1/os-quota-sets/gone{path}") for path in ("", "/detail", "/defaults")]
    answers.append(world.admin().put("/v2.1/os-quota-sets/gone", json=body))

    assert {answer.status_code for answer in answers} == {400}
    assert answers[0].json()["badRequest"]["message"] == "Project ID gone is not a valid project."
    assert world.admin().delete("/v2.1/os-quota-sets/gone").status_code == 202


def test_a_users_limit_is_within_the_projects_and_counts_its_own_servers(world: World) -> None:
    limit(world, instances=5)
    theirs = f"{PATH}?user_id={ALICES_USER}"
    world.server()

    too_high = world.admin().put(theirs, json={"quota_set": {"instances": 6}})
    too_low = world.admin().put(theirs, json={"quota_set": {"instances": 0}})
    changed = world.admin().put(theirs, json={"quota_set": {"instances": 1}})
    refused = world.alice.post("/v2.1/servers", json=world.order())

    assert "must be less than or equal to 5" in too_high.json()["badRequest"]["message"]
    assert "already used and reserved 1" in too_low.json()["badRequest"]["message"]
    assert (changed.status_code, changed.json()["quota_set"]["instances"]) == (200, 1)
    assert world.alice.get(theirs).json()["quota_set"]["instances"] == 1
    assert world.alice.get(PATH).json()["quota_set"]["instances"] == 5
    assert (refused.status_code, "already used 1 of 1" in refused.text) == (403, True)
    assert world.admin().delete(theirs).status_code == 202
    assert world.alice.post("/v2.1/servers", json=world.order()).status_code == 202


def test_class_default_is_what_projects_have_without_limits_of_their_own(world: World) -> None:
    path = "/v2.1/os-quota-class-sets/default"
    limit(world, cores=7)

    before = world.admin().get(path).json()["quota_class_set"]
    changed = world.admin().put(path, json={"quota_class_set": {"cores": 50, "instances": "40"}})

    assert (before["id"], before["cores"]) == ("default", 20)
    assert changed.status_code == 200 and "id" not in changed.json()["quota_class_set"]
    assert world.alice.get(f"{PATH}/defaults").json()["quota_set"]["cores"] == 50
    mine = world.alice.get(PATH).json()["quota_set"]
    assert (mine["cores"], mine["instances"]) == (7, 40)
    assert world.admin().get("/v2.1/os-quota-class-sets/other").json()["quota_class_set"]["cores"] == 20
    assert world.alice.get(path).status_code == 403


@pytest.mark.parametrize(
    ("version", "shown", "refused"),
    [
        ("2.1", {"fixed_ips", "injected_files"}, "force"),
        ("2.50", {"server_groups", "injected_files"}, "fixed_ips"),
        ("2.57", {"server_groups"}, "injected_files"),
    ],
)
def test_a_class_has_what_its_version_has(world: World, version: str, shown: set[str], refused: str) -> None:
    path, client = "/v2.1/os-quota-class-sets/default", world.admin(version)

    limits = client.get(path).json()["quota_class_set"]

    assert {"fixed_ips", "injected_files", "server_groups"} & set(limits) == shown
    assert client.put(path, json={"quota_class_set": {refused: 5}}).status_code == 400


@pytest.mark.parametrize(
    ("version", "gone"),
    [
        ("2.35", set()),
        ("2.36", {"maxTotalFloatingIps"}),
        ("2.39", {"maxTotalFloatingIps", "maxImageMeta"}),
        ("2.57", {"maxTotalFloatingIps", "maxImageMeta", "maxPersonality"}),
    ],
)
def test_absolute_limits_lose_what_their_version_lost(world: World, version: str, gone: set[str]) -> None:
    absolute = world.at(version).get("/v2.1/limits?reserved=1").json()["limits"]["absolute"]

    assert {"maxTotalFloatingIps", "maxImageMeta", "maxPersonality"} - set(absolute) == gone


def test_an_administrator_sees_another_projects_limits(world: World) -> None:
    world.admin().put(f"/v2.1/os-quota-sets/{BOB}", json={"quota_set": {"cores": 3}})

    assert world.admin().get(f"/v2.1/limits?tenant_id={BOB}").json()["limits"]["absolute"]["maxTotalCores"] == 3
