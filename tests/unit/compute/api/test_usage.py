"""Usage: what servers took over time, to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.clock import utc_now
from services.compute.db.server_states import ServerStates
from tests.unit.compute.api.world import ALICE, BOB, World

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = {"start": "2026-11-01T00:00:00", "end": "2026-11-02T00:00:00"}
PATH = "/v2.1/os-simple-tenant-usage"


def ran(world: World, since: datetime = NOON, until: datetime | None = None, **changes: Any) -> str:
    """A server of 1 vCPU, 512 MiB and 1 GiB that was there for that time."""
    server_id = world.active_server(**changes)
    gone = {"vm_state": "deleted", "deleted_at": until} if until else {}
    world.become(server_id, launched_at=since, terminated_at=until, **gone)
    return server_id


def nothing(project: str, start: str = "2026-11-01T00:00:00.000000", stop: str = "2026-11-02T00:00:00.000000") -> Any:
    totals = dict.fromkeys(("hours", "vcpus_usage", "memory_mb_usage", "local_gb_usage"), 0)
    shown = {f"total_{name}": value for name, value in totals.items()}
    return {"tenant_usage": shown | {"tenant_id": project, "start": start, "stop": stop, "server_usages": []}}


def usage(world: World, project: str = ALICE, version: str = "2.1", **query: str) -> Any:
    return world.admin(version).get(f"{PATH}/{project}", params=DAY | query).json()


def test_a_deleted_server_counts_for_as_long_as_it_was_there(world: World) -> None:
    server_id = ran(world, until=NOON + timedelta(seconds=5400))

    shown = usage(world)["tenant_usage"]

    assert shown["total_hours"] == shown["total_vcpus_usage"] == shown["total_local_gb_usage"] == 1.5
    assert (shown["total_memory_mb_usage"], shown["tenant_id"]) == (768.0, ALICE)
    assert (shown["start"], shown["stop"]) == ("2026-11-01T00:00:00.000000", "2026-11-02T00:00:00.000000")
    [server] = shown["server_usages"]
    assert (server["instance_id"], server["state"], server["uptime"]) == (server_id, "terminated", 5400)
    assert (server["flavor"], server["ended_at"]) == ("m1.1", "2026-11-01T13:30:00.000000")


def test_only_the_time_within_the_period_counts(world: World) -> None:
    ran(world, NOON - timedelta(days=3), NOON + timedelta(days=3))

    assert usage(world)["tenant_usage"]["total_hours"] == 24
    assert usage(world, start="2026-11-01T23:59:59.000000")["tenant_usage"]["total_hours"] == 1 / 3600


def test_a_server_that_was_never_there_or_at_another_time_is_not_charged(world: World) -> None:
    world.server()
    ran(world, NOON - timedelta(days=3), NOON - timedelta(days=2))
    ran(world, NOON + timedelta(days=2))

    assert usage(world) == nothing(ALICE)


def test_a_running_server_is_charged_until_now(world: World) -> None:
    since = utc_now() - timedelta(hours=2)
    ran(world, since)

    shown = usage(world, start=since.strftime("%Y-%m-%dT%H:%M:%S"), end="2999-01-01T00:00:00")["tenant_usage"]

    assert 2 <= shown["total_hours"] < 2.1
    assert shown["server_usages"][0]["ended_at"] is None
    assert shown["stop"] < "2999"


def test_usage_outlives_the_servers_row(world: World) -> None:
    server_id = ran(world, until=NOON + timedelta(hours=1))
    before = usage(world)

    with world.kit.database.transaction() as session:
        assert ServerStates(session).forget(utc_now()) == 1

    assert usage(world) == before
    with world.kit.database.transaction() as session:
        ServerStates(session).forget_usage(utc_now())
    assert usage(world) == nothing(ALICE)
    assert UUID(server_id)


def test_the_list_is_of_all_projects_and_details_are_to_be_asked_for(world: World) -> None:
    ran(world, until=NOON + timedelta(hours=1))
    other = world.server(world.bob)
    world.become(other, launched_at=NOON, terminated_at=NOON + timedelta(hours=2), vm_state="deleted")

    plain = world.admin().get(PATH, params=DAY).json()["tenant_usages"]
    detailed = world.admin().get(PATH, params=DAY | {"detailed": "1"}).json()["tenant_usages"]

    assert {one["tenant_id"]: one["total_hours"] for one in plain} == {ALICE: 1, BOB: 2}
    assert all("server_usages" not in one for one in plain) and all(one["server_usages"] for one in detailed)


def test_pages_are_of_servers_and_lead_to_the_next(world: World) -> None:
    servers = sorted(ran(world, until=NOON + timedelta(hours=1)) for _ in range(3))

    first = usage(world, version="2.40", limit="2")
    [link] = first["tenant_usage_links"]
    second = world.admin("2.40").get(link["href"].removeprefix("http://cloud.test/compute")).json()

    assert [one["instance_id"] for one in first["tenant_usage"]["server_usages"]] == servers[:2]
    assert [one["instance_id"] for one in second["tenant_usage"]["server_usages"]] == servers[2:]
    assert "tenant_usage_links" not in second
    assert "tenant_usage_links" not in usage(world, limit="2")
    wrong = world.admin("2.40").get(f"{PATH}?marker=nobody&start=2026-11-01T00:00:00")
    assert (wrong.status_code, wrong.json()["badRequest"]["message"]) == (400, "marker [nobody] not found")


def test_without_a_period_it_is_this_moment_s_usage(world: World) -> None:
    everything, one = world.admin().get(PATH), world.admin().get(f"{PATH}/{'0' * 32}")

    assert (everything.status_code, everything.json()) == (200, {"tenant_usages": []})
    shown = one.json()["tenant_usage"]
    assert (one.status_code, one.json()) == (200, nothing("0" * 32, shown["start"], shown["stop"]))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("start=yesterday", "Datetime is in invalid format"),
        ("start=2026-11-02T00:00:00&end=2026-11-01T00:00:00", "start time cannot occur after the end time"),
    ],
)
def test_a_period_that_is_none_is_refused(world: World, query: str, sentence: str) -> None:
    answer = world.admin().get(f"{PATH}?{query}")

    assert (answer.status_code, sentence in answer.text) == (400, True)


def test_a_project_sees_its_own_usage_and_nobody_elses(world: World) -> None:
    assert world.alice.get(f"{PATH}/{ALICE}", params=DAY).status_code == 200
    assert world.alice.get(f"{PATH}/{BOB}", params=DAY).status_code == 403
    assert world.alice.get(PATH, params=DAY).status_code == 403
