"""`POST /servers?dry_run=true`: where servers would go and why, and nothing has changed."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import func, select

from services.compute.db.placement_tables import AllocationRow, ConsumerRow, InventoryRow
from services.compute.db.tables import ServerRow, ServerSaga
from tests.unit.compute.api.world import World

ASK = "/v2.1/servers?dry_run=true"


def left_behind(world: World) -> list[int]:
    with world.kit.database.reading() as session:
        tables = (ServerRow, ServerSaga, AllocationRow, ConsumerRow)
        counts = [session.scalar(select(func.count()).select_from(table)) for table in tables]
        return [*map(int, filter(None, counts)), int(session.scalar(select(func.sum(InventoryRow.used))) or 0)]


def told(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["dry_run"]
    return found


def test_it_tells_where_a_server_would_go_and_changes_nothing(world: World) -> None:
    world.host("one")
    world.host("two", memory_mib=16)

    found = told(world.admin("2.104").post(ASK, json=world.order(networks="none")))

    assert found["fits"] is True
    [server] = found["servers"]
    assert (server["name"], server["OS-EXT-SRV-ATTR:host"], server["hosts"]) == ("probe", "one", 2)
    assert server["filters"] == [
        {"name": "MEMORY_MBFilter", "removed": 1, "reason": "without enough memory", "hosts": ["two"]}
    ]
    assert left_behind(world) == [0]


def test_its_owner_sees_no_names_of_hosts(world: World) -> None:
    world.host("secret-name")

    [server] = told(world.alice.post(ASK, json=world.order()))["servers"]

    assert "secret-name" not in str(server) and len(server["hostId"]) == 56


def test_each_of_several_finds_what_those_before_it_would_leave(world: World) -> None:
    world.host("one", vcpus=1)
    world.host("two", vcpus=1)

    found = told(world.admin().post(ASK, json=world.order(min_count=3)))

    assert found["fits"] is False
    assert [one["fits"] for one in found["servers"]] == [True, True, False]
    assert {one["OS-EXT-SRV-ATTR:host"] for one in found["servers"][:2]} == {"one", "two"}
    assert "VCPUFilter removed 2" in found["servers"][2]["message"]
    assert left_behind(world) == [0]


def test_what_a_real_request_would_be_refused_for_it_is_refused_for(world: World) -> None:
    assert world.alice.post(ASK, json=world.order(flavorRef="none")).status_code == 400
    assert world.alice.post(ASK, json=world.order(min_count=99)).status_code == 403
    assert world.alice.post("/v2.1/servers?dry_run=perhaps", json=world.order()).status_code == 400
    assert left_behind(world) == [0]


def test_without_it_a_server_is_made(world: World) -> None:
    assert world.alice.post("/v2.1/servers?dry_run=false", json=world.order()).status_code == 202
    assert world.at("2.104").get("/v2.1/servers?dry_run=true").status_code == 400
