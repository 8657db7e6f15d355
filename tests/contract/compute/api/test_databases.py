"""What the API promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, event, insert, select, text

from common.clock import utc_now
from common.db.counting import counted
from common.db.database import Database
from common.db.migrate import drift, upgrade
from services.compute.db.tables import ComputeTable, ServerRow
from tests.harness.compute import IMAGE_BYTES, ComputeWorld
from tests.unit.compute.api.world import ALICE, World

AT_ONCE, REQUESTS, QUOTA = 24, 1000, 100
PARALLEL = 200


def test_every_table_has_its_migration(world: World) -> None:
    assert drift(world.kit.database, ComputeTable.metadata) == []


def test_servers_from_before_their_flavors_had_columns_are_counted_and_found_as_before(world: World) -> None:
    world.server(flavorRef=world.flavor("3", vcpus=3, ram=768))
    database = world.kit.database
    with database.transaction() as session:
        for index in ("ix_servers_counted", "ix_servers_project"):
            session.execute(text(f"DROP INDEX {index}"))
        session.execute(text("CREATE INDEX ix_servers_project ON servers (project_id, created_at, id)"))
        for column in ("flavor_id", "vcpus", "memory_mib"):
            session.execute(text(f"ALTER TABLE servers DROP COLUMN {column}"))
        session.execute(text("UPDATE alembic_version SET version_num = '0009'"))

    upgrade(database, "services.compute.db", ComputeTable.metadata)

    used = world.alice.get("/v2.1/limits").json()["limits"]["absolute"]
    assert (used["totalInstancesUsed"], used["totalCoresUsed"], used["totalRAMUsed"]) == (1, 3, 768)
    assert len(world.alice.get("/v2.1/servers?flavor=3").json()["servers"]) == 1
    assert drift(database, ComputeTable.metadata) == []


def test_a_thousand_creates_at_once_fill_the_quota_exactly_and_all_of_them_run(world: World, tmp_path: Path) -> None:
    hosts = ComputeWorld(tmp_path, world.kit.database, memory_mib=1 << 20)
    limits = {"instances": QUOTA, "cores": -1, "ram": -1}
    assert world.admin().put(f"/v2.1/os-quota-sets/{ALICE}", json={"quota_set": limits}).status_code == 200
    digest, size = hashlib.sha512(IMAGE_BYTES).hexdigest(), len(IMAGE_BYTES)
    image = world.gallery.add(os_hash_value=digest, size=size, virtual_size=size, disk_format="raw")
    order = world.order(imageRef=str(image.id))

    with ThreadPoolExecutor(AT_ONCE) as people:
        statuses = list(
            people.map(lambda _: world.alice.post("/v2.1/servers", json=order).status_code, range(REQUESTS))
        )

    assert (statuses.count(202), statuses.count(403)) == (QUOTA, REQUESTS - QUOTA)
    hosts.clock.advance(30)
    while hosts.engine.run_due():
        pass
    servers = world.alice.get("/v2.1/servers?status=BUILD").json()["servers"]
    assert len(world.alice.get("/v2.1/servers").json()["servers"]) == QUOTA
    assert (len(hosts.guests()), servers, hosts.disagreements()) == (QUOTA, [], [])
    hosts.bus.close()


def test_c7_two_hundred_at_once_get_no_more_key_pairs_than_the_quota(world: World) -> None:
    limit(world, key_pairs=7)
    key = an_ssh_key()

    def make(number: int) -> int:
        body = {"keypair": {"name": f"k{number}", "public_key": key}}
        return world.alice.post("/v2.1/os-keypairs", json=body).status_code

    assert at_once(make) == {200: 7, 403: PARALLEL - 7}


def test_c7_two_hundred_at_once_write_no_more_metadata_than_the_quota(world: World) -> None:
    limit(world, metadata_items=9)
    path = f"/v2.1/servers/{world.active_server()}/metadata"

    def write(number: int) -> int:
        return world.alice.post(path, json={"metadata": {f"k{number}": "v"}}).status_code

    assert at_once(write) == {200: 9, 403: PARALLEL - 9}


def test_c7_a_lower_quota_is_never_exceeded_by_creates_at_the_same_moment(world: World) -> None:
    order = world.order()

    def make(number: int) -> int:
        if number == PARALLEL // 2:
            limit(world, instances=3, force=True)
        return world.alice.post("/v2.1/servers", json=order).status_code

    limit(world, instances=3, cores=-1, ram=-1)

    assert at_once(make) == {202: 3, 403: PARALLEL - 3}


def limit(world: World, **limits: Any) -> None:
    answer = world.admin().put(f"/v2.1/os-quota-sets/{ALICE}", json={"quota_set": limits})
    assert answer.status_code == 200, answer.text


def at_once(request: Callable[[int], int]) -> dict[int, int]:
    """Status -> how many of the parallel requests were answered so."""
    with ThreadPoolExecutor(AT_ONCE) as people:
        return dict(Counter(people.map(request, range(PARALLEL))))


def an_ssh_key() -> str:
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


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
        ("name=^[a-b](_b)?$", ["b_b", "A"]),
        ("name=^([^_]%2B|%5CW)$", ["c%", "A"]),
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


@pytest.mark.parametrize("pattern", [r"\pL", "a{300}", "(?P<name>a)", r"\Qa\E"])
def test_a_filter_that_one_engine_alone_can_read_finds_or_is_the_client_s_mistake(world: World, pattern: str) -> None:
    answer = world.alice.get("/v2.1/servers", params={"name": pattern})

    assert answer.status_code in (200, 400), answer.text


def test_lists_that_people_ask_for_need_not_look_at_all_servers(world: World) -> None:
    fill(world.kit.database, world.server())
    now = quote_plus(utc_now().isoformat())
    indexes = {
        "": "ix_servers_project",
        "status=ERROR": "ix_servers_state",
        "sort_key=display_name&sort_dir=asc": "ix_servers_name",
        f"changes-since={now}": "ix_servers_changed",
        "all_tenants=1": "ix_servers_all",
        "all_tenants=1&status=ERROR": "ix_servers_state_all",
        "all_tenants=1&sort_key=display_name&sort_dir=asc": "ix_servers_name_all",
        f"all_tenants=1&changes-since={now}": "ix_servers_changed_all",
        "all_tenants=1&host=host-7": "ix_servers_host",
    }

    plans = {query: planned(world, f"/v2.1/servers/detail?limit=10&{query}") for query in indexes}

    assert {query: plan for query, plan in plans.items() if not re.search(rf"\b{indexes[query]}", plan)} == {}


@pytest.mark.parametrize(("query", "column"), [("flavor=rare", "flavor_id"), (f"image={UUID(int=7)}", "image_id")])
def test_servers_of_another_flavor_or_image_are_not_read(world: World, query: str, column: str) -> None:
    fill(world.kit.database, world.server())
    found = "ix_servers_project" if world.kit.database.is_sqlite else f"ix_servers_project.*Index Cond: .*{column}"

    assert re.search(found, planned(world, f"/v2.1/servers/detail?limit=10&{query}"))


def test_quotas_count_servers_without_reading_them(world: World) -> None:
    fill(world.kit.database, world.server())
    index = "COVERING INDEX" if world.kit.database.is_sqlite else "Index Only Scan using"

    plan = planned(world, "/v2.1/limits")

    assert f"{index} ix_servers_counted" in plan


def fill(database: Database, server_id: str) -> None:
    """Many servers like that one, some of them of its project; what PostgreSQL knows of them it learns by itself in time."""
    columns = [column for column in ServerRow.__table__.columns if column.name != "number"]
    with database.transaction() as session:
        one = session.execute(select(*columns).where(ServerRow.id == UUID(server_id))).one()._asdict()
        rows = []
        for at in range(4000):
            born = one["created_at"] - timedelta(minutes=at + 1)
            state, project = "active" if at % 50 else "error", ALICE if at % 20 == 10 else f"{at % 20:032x}"
            own = {"id": uuid4(), "name": f"s{at}", "host": f"host-{at % 40}", "vm_state": state, "project_id": project}
            rows.append(one | own | {"created_at": born, "updated_at": born, "task_state": None})
        session.execute(insert(ServerRow), rows)
        if not database.is_sqlite:
            session.execute(text("ANALYZE servers"))


def planned(world: World, path: str) -> str:
    """How the database would go about that list: so few rows PostgreSQL would rather read and sort all at once."""
    database, plans = world.kit.database, []
    said = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    without = [] if database.is_sqlite else ["seqscan", "bitmapscan", "sort"]

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if "FROM servers" in statement:
            for way in without:
                cursor.execute(f"SET LOCAL enable_{way} TO off")
            plans.append(str(cursor.execute(f"{said} {statement}", parameters).fetchall()))

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        answer = world.admin("2.37").get(path)
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)
    assert answer.status_code == 200, answer.text
    return plans[0]


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
