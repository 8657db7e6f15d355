"""What the API promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from common.clock import utc_now
from common.db.counting import counted
from common.db.migrate import drift
from services.compute.db.tables import ComputeTable
from tests.unit.compute.api.world import ALICE, World

AT_ONCE, REQUESTS, QUOTA = 24, 300, 100


def test_every_table_has_its_migration(world: World) -> None:
    assert drift(world.kit.database, ComputeTable.metadata) == []


def test_creates_at_once_fill_the_quota_exactly(world: World) -> None:
    limits = {"instances": QUOTA, "cores": -1, "ram": -1}
    assert world.admin().put(f"/v2.1/os-quota-sets/{ALICE}", json={"quota_set": limits}).status_code == 200
    order = world.order()

    with ThreadPoolExecutor(AT_ONCE) as people:
        statuses = list(
            people.map(lambda _: world.alice.post("/v2.1/servers", json=order).status_code, range(REQUESTS))
        )

    assert (statuses.count(202), statuses.count(403)) == (QUOTA, REQUESTS - QUOTA)
    assert len(world.alice.get("/v2.1/servers").json()["servers"]) == QUOTA


def test_flavors_of_one_name_asked_for_at_once_are_made_once(world: World) -> None:
    def make(number: int) -> int:
        body = {"id": f"f{number}", "name": "same", "ram": 1, "vcpus": 1, "disk": 1}
        return world.admin().post("/v2.1/flavors", json={"flavor": body}).status_code

    with ThreadPoolExecutor(8) as people:
        statuses = list(people.map(make, range(8)))

    assert sorted(statuses) == [200] + [409] * 7


def test_deletes_at_once_start_one_saga(world: World) -> None:
    server_id = world.server()

    with ThreadPoolExecutor(8) as people:
        paths = [f"/v2.1/servers/{server_id}"] * 8
        statuses = list(people.map(lambda path: world.alice.delete(path).status_code, paths))

    assert statuses == [204] * 8
    assert [saga.kind for saga in world.sagas(server_id)] == ["boot_server", "delete_server"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["c%", "b_b", "A"]),
        ("name=a", ["A"]),  # upper and lower case are the same, as in Nova on MySQL
        ("name=%25", ["c%"]),
        ("name=b_b", ["b_b"]),
        ("name=^.$", ["A"]),
        ("sort_key=task_state&sort_dir=asc", ["b_b", "A", "c%"]),  # without one: first
        ("sort_key=task_state&sort_dir=desc", ["c%", "A", "b_b"]),
        ("tags=x", ["A"]),
        ("not-tags-any=x,y", ["c%"]),
        ("flavor=1&limit=1", ["c%"]),
        ("status=ACTIVE", ["b_b"]),
    ],
)
def test_lists_find_the_same_on_both(world: World, query: str, found: list[str]) -> None:
    client = world.at("2.52")
    for name, tags in {"A": ["x", "y"], "b_b": ["y"], "c%": []}.items():
        server_id = world.server(client, name=name, tags=tags, networks="none")
        if name == "b_b":
            world.become(server_id, vm_state="active", task_state=None)

    assert [one["name"] for one in client.get(f"/v2.1/servers?{query}").json()["servers"]] == found


def test_pages_by_a_column_that_may_be_empty_have_no_gaps(world: World) -> None:
    for at in range(6):
        server_id = world.server(name=f"s{at}")
        if at % 2:
            world.become(server_id, launched_at=utc_now() + timedelta(seconds=at))
    seen: list[str] = []
    marker = ""

    while True:
        path = f"/v2.1/servers?sort_key=launched_at&sort_dir=asc&limit=1{marker}"
        page: list[dict[str, Any]] = world.alice.get(path).json()["servers"]
        if not page:
            break
        seen.append(page[0]["name"])
        marker = f"&marker={page[0]['id']}"

    assert seen == ["s0", "s2", "s4", "s1", "s3", "s5"]


def test_a_page_costs_one_query_and_its_marker_another(world: World) -> None:
    ids = [world.server() for _ in range(4)]

    with counted(world.kit.database) as sent:
        listed = world.alice.get(f"/v2.1/servers/detail?marker={ids[2]}").json()["servers"]

    assert [one["id"] for one in listed] == [ids[1], ids[0]]
    assert len(sent) == 2
