"""Both databases keep images alike: schema, lists, locks, quota."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from common.db.database import Database
from common.db.migrate import drift, upgrade
from services.image.db.tables import ImageTable
from services.image.drivers.inspect.inspector import Inspector
from tests.unit.image.world import World, a_world


def test_migrations_make_exactly_the_tables_of_the_code(database_url: str) -> None:
    database = Database(database_url)

    for _ in range(2):
        upgrade(database, "services.image.db", ImageTable.metadata)

    assert drift(database, ImageTable.metadata) == []
    database.close()


def test_an_image_lives_through_all_its_states(world: World) -> None:
    image = world.active(b"bytes", name="n", tags=["a", "b"], colour="red", description="\u202e😀")

    changed = world.patch(
        image["id"],
        {"op": "replace", "path": "/name", "value": "m"},
        {"op": "remove", "path": "/colour"},
        {"op": "replace", "path": "/tags", "value": ["c"]},
    )
    listed = world.alice.get("/v2/images?tag=c&description=%E2%80%AE%F0%9F%98%80").json()["images"]
    deleted = world.alice.delete(f"/v2/images/{image['id']}")

    assert changed.json()["tags"] == ["c"]
    assert listed == [changed.json()]
    assert deleted.status_code == 204
    assert world.alice.post("/v2/images", json={"id": image["id"]}).status_code == 409


@pytest.mark.parametrize(
    "order", [f"{key}:{way}" for key in ("name", "size", "created_at", "id") for way in ("asc", "desc")]
)
def test_pages_hold_every_image_once_in_the_order_of_the_whole(world: World, order: str) -> None:
    for name in ("b", None, "a", "a", None):
        world.create(name=name)
    world.active(b"x", name="B")
    whole = [one["id"] for one in world.alice.get(f"/v2/images?sort={order}").json()["images"]]

    paged, path = [], f"/v2/images?limit=2&sort={order}"
    while path:
        page = world.alice.get(path).json()
        paged += [one["id"] for one in page["images"]]
        path = page.get("next", "")

    assert len(whole) == 6
    assert paged == whole


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("created_at=gt:2020-01-01T00:00:00Z", 2),
        ("created_at=lt:2020-01-01T00:00:00Z", 0),
        ("size_min=3", 1),
        ("name=in:a,b", 2),
        ("protected=false&os_hidden=false", 2),
        ("colour=red&tag=t", 1),
        ("id=a1b2c3d4-0000-4000-8000-000000000000", 0),
        ("visibility=all", 2),
        ("size_max=9223372036854775807", 1),
    ],
)
def test_filters_mean_the_same(world: World, query: str, count: int) -> None:
    world.active(b"xxx", name="a", colour="red", tags=["t"])
    world.create(name="b", colour="blue")

    assert len(world.alice.get(f"/v2/images?{query}").json()["images"]) == count


def test_of_two_uploads_at_once_one_wins(world: World) -> None:
    image_id = world.create()["id"]
    together, statuses = threading.Barrier(4), []

    def slow() -> Iterator[bytes]:
        yield os.urandom(1000)
        yield os.urandom(1000)

    def upload() -> None:
        together.wait()
        statuses.append(world.upload(image_id, slow()).status_code)

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [204, 409, 409, 409]


def test_parallel_uploads_never_pass_the_quota(tmp_path: Path, inspector: Inspector, database_url: str) -> None:
    with a_world(tmp_path, inspector, database_url=database_url, project_quota_bytes=5_000, upload_threads=8) as world:
        ids, statuses = [world.create()["id"] for _ in range(12)], []
        threads = [
            threading.Thread(target=lambda one=one: statuses.append(world.upload(one, bytes(1000)).status_code))
            for one in ids
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(statuses) == [204] * 5 + [413] * 7


def test_the_same_id_asked_for_at_once_is_given_once(world: World) -> None:
    chosen, statuses, together = str(uuid4()), [], threading.Barrier(6)

    def create() -> None:
        together.wait()
        statuses.append(world.alice.post("/v2/images", json={"id": chosen}).status_code)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201] + [409] * 5
