"""os-migrations, and the live migrations that no server is in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from common.clock import utc_now
from services.compute.db.migration_records import CONFIRMED, FINISHED, MigrationRecords
from services.compute.db.tables import ServerRow
from tests.unit.compute.api.world import ALICE, BOB, World

MANAGER = ("manager", "member", "reader")


def a_resize(world: World, *, minutes_ago: int = 0, project: str = ALICE, status: str = FINISHED) -> str:
    """Of a new server of that project; its id."""
    server_id = world.active_server()
    at = utc_now() - timedelta(minutes=minutes_ago)
    with world.kit.database.transaction() as session:
        server = session.scalars(select(ServerRow).where(ServerRow.id == world.row(server_id).id)).one()
        server.project_id, server.host = project, server.host or "one"
        MigrationRecords(session).begin_resize(server, {"id": "2"}, at=at)
        session.flush()
        MigrationRecords(session).reached(server.id, status, at=at)
    return server_id


def listed(world: World, query: str = "", *, at: str = "2.80", **who: Any) -> list[dict[str, Any]]:
    client = world.person(version=at, **who) if who else world.admin(at)
    answer = client.get(f"/v2.1/os-migrations{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["migrations"]
    return found


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2.1", set()),
        ("2.23", {"migration_type"}),
        ("2.59", {"migration_type", "uuid"}),
        ("2.80", {"migration_type", "uuid", "user_id", "project_id"}),
    ],
)
def test_each_version_shows_what_it_brought(world: World, version: str, more: set[str]) -> None:
    world.flavor("2", vcpus=2)
    server_id = a_resize(world)

    [shown] = listed(world, at=version)

    assert set(shown) == more | {
        "id", "instance_uuid", "status", "source_compute", "source_node", "dest_compute", "dest_node", "dest_host",
        "old_instance_type_id", "new_instance_type_id", "created_at", "updated_at",
    }  # fmt: skip
    assert (shown["instance_uuid"], shown["status"], shown["source_compute"]) == (server_id, "finished", "one")
    assert shown["old_instance_type_id"] != shown["new_instance_type_id"] != 0


def test_every_filter_chooses(world: World) -> None:
    old, new = a_resize(world, minutes_ago=10, status=CONFIRMED), a_resize(world, project=BOB)
    moment = (utc_now() - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def found(query: str) -> list[str]:
        return [one["instance_uuid"] for one in listed(world, query)]

    assert found("") == [new, old]
    assert found("?status=confirmed") == [old] and found("?migration_type=resize&host=one") == [new, old]
    assert found("?host=two") == found("?source_compute=two") == found("?migration_type=live-migration") == []
    assert found(f"?instance_uuid={new}") == [new] and found("?instance_uuid=x") == []
    assert found(f"?project_id={BOB}") == [new] and found("?user_id=nobody") == []
    assert found(f"?changes-since={moment}") == [new] and found(f"?changes-before={moment}") == [old]


def test_pages_go_on_where_the_last_ended(world: World) -> None:
    first, second = a_resize(world, minutes_ago=2), a_resize(world, minutes_ago=1)

    answer = world.admin("2.59").get("/v2.1/os-migrations?limit=1").json()

    assert [one["instance_uuid"] for one in answer["migrations"]] == [second]
    [link] = answer["migrations_links"]
    assert link["rel"] == "next"
    following = world.admin("2.59").get(link["href"].removeprefix(world.kit.url)).json()
    assert [one["instance_uuid"] for one in following["migrations"]] == [first]
    assert world.admin("2.59").get("/v2.1/os-migrations?marker=x").status_code == 400


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("?more=1", "2.59"), ("?changes-before=2030-01-01T00:00:00Z", "2.59"), ("?user_id=u", "2.79"), ("?limit=x", "2.59"),
        ("?changes-since=now", "2.59"), ("?changes-since=2030-01-02T00:00:00Z&changes-before=2030-01-01T00:00:00Z", "2.66"),
    ],
)  # fmt: skip
def test_what_a_version_does_not_know_is_400(world: World, query: str, version: str) -> None:
    assert world.admin(version).get(f"/v2.1/os-migrations{query}").status_code == 400


def test_a_manager_sees_the_own_project_s_without_hosts_and_a_member_nothing(world: World) -> None:
    mine = a_resize(world)
    a_resize(world, project=BOB)

    [shown] = listed(world, roles=MANAGER)

    assert shown["instance_uuid"] == mine
    assert [shown[name] for name in ("source_compute", "dest_compute", "dest_host", "source_node", "dest_node")] == [
        None
    ] * 5
    assert [one["instance_uuid"] for one in listed(world, f"?project_id={BOB}", roles=MANAGER)] == [mine]
    assert world.alice.get("/v2.1/os-migrations").status_code == 403


def test_no_server_is_on_its_way_to_another_host(world: World) -> None:
    server_id = a_resize(world)
    number = listed(world)[0]["id"]
    path, admin = f"/v2.1/servers/{server_id}/migrations", world.admin("2.80")
    go_on = {"force_complete": None}

    assert admin.get(path).json() == {"migrations": []}
    assert "is not live-migration" in admin.get(f"{path}/{number}").json()["itemNotFound"]["message"]
    assert admin.get(f"{path}/99").status_code == 404
    assert admin.post(f"{path}/{number}/action", json=go_on).status_code == 400
    assert admin.post(f"{path}/99/action", json=go_on).status_code == 404
    assert admin.post(f"{path}/99/action", json={"force_complete": {}}).status_code == 400
    assert admin.delete(f"{path}/{number}").status_code == 409
    assert world.alice.get(path).status_code == world.admin("2.22").get(path).status_code == 404
    assert world.person(version="2.80").get(path).status_code == 403
    assert world.person(BOB, version="2.80").get(path).status_code == 404
