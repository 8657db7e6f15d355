"""Both databases keep images alike: schema, lists, locks, quota."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from common.db.database import Database
from common.db.migrate import drift, upgrade
from services.image.core.images import Viewer
from services.image.core.listing import read_listing
from services.image.db.images import Images
from services.image.db.tables import ImageTable
from services.image.drivers.inspect.inspector import Inspector
from tests.bench.seed_images import image_id_of, seed
from tests.unit.image.world import ALICE, World, a_world


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


ORDERS = ("name:asc,size:desc", "status:desc,name:desc", "size:desc,created_at:asc")


@pytest.mark.parametrize(
    "order",
    [*(f"{key}:{way}" for key in ("name", "size", "status", "created_at", "id") for way in ("asc", "desc")), *ORDERS],
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
        ("protected=false&os_hidden=false", 1),
        ("colour=red&tag=t", 1),
        ("id=a1b2c3d4-0000-4000-8000-000000000000", 0),
        ("visibility=all", 2),
        ("size_max=9223372036854775807", 1),
        ("min_disk=2", 1),
        ("min_ram=7", 0),
        ("virtual_size_min=1", 1),
        ("virtual_size_max=3", 1),
        ("min_disk_min=0", 2),
        ("protected=true", 1),
        ("os_hidden=true&name=c", 1),
    ],
)
def test_filters_mean_the_same(world: World, query: str, count: int) -> None:
    world.active(b"xxx", name="a", colour="red", tags=["t"])
    world.create(name="b", colour="blue", min_disk=2, protected=True)
    world.create(name="c", os_hidden=True)

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


LARGE_LISTS = (
    *(
        "",
        "marker={marker}",
        "visibility=public",
        "name=seed-000050",
        "name=in:seed-000050,seed-000051",
        "status=killed",
    ),
    *("size_min=9999999", "updated_at=lt:2000-01-01", "tag=rare", "tag=absent", "serial=77", "serial=absent"),
    *("checksum=00000000000000000000000000000007", "tag=common&os_distro=distro-3"),
    *("protected=true", "min_disk=19", "min_disk=7777", "min_ram=5", "virtual_size=7"),
    *("container_format=ova", "sort=id:asc", "sort=id:desc&marker={marker}"),
    *(
        f"sort={key}:{way}{page}"
        for key in ("name", "disk_format", "container_format", "size", "status", "updated_at")
        for way in ("asc", "desc")
        for page in ("", "&marker={marker}")
    ),
)


def test_no_list_looks_at_all_images(world: World) -> None:
    database, marker = world.kit.database, str(image_id_of(1501))
    seed(database, ALICE, 3000)
    looks_at_all = looks_at_all_in_sqlite if database.is_sqlite else looks_at_all_in_postgresql
    slow: list[str] = []

    for who, sees_all in (("owner", False), ("admin", True)):
        for query in LARGE_LISTS:
            with database.reading() as session:
                connection = session.connection()
                if not database.is_sqlite:  # so few rows it would read all at once
                    connection.execute(text("SET LOCAL enable_seqscan TO off"))

                def explain(
                    _: object, cursor: Any, statement: str, parameters: Any, *__: object, name: str = f"{who}: {query}"
                ) -> None:
                    if looks_at_all(cursor, statement, parameters):
                        slow.append(name)

                event.listen(connection, "before_cursor_execute", explain)
                listing = read_listing(parse_qsl(query.format(marker=marker)))
                Images(session).page(listing, Viewer(ALICE, sees_all=sees_all))

    assert slow == []


def looks_at_all_in_sqlite(cursor: Any, statement: str, parameters: Any) -> bool:
    plan = str(cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())
    return bool(re.search(r"SCAN images(?! USING)|TEMP B-TREE FOR ORDER BY.*SCAN images", plan))


def looks_at_all_in_postgresql(cursor: Any, statement: str, parameters: Any) -> bool:
    """A project's images are all of them too."""
    [[[plan]]] = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchall()
    return images_read(plan["Plan"]) > 1000


def images_read(plan: dict[str, Any]) -> int:
    own = 0
    if plan.get("Relation Name") == "images":
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(images_read(part) for part in plan.get("Plans", []))


def test_properties_that_begin_alike_are_told_apart(world: World) -> None:
    long = "x" * 5000
    for end in "ab":
        world.create(name=end, note=long + end)

    found = world.alice.get("/v2/images", params={"note": f"{long}b"}).json()["images"]

    assert [one["name"] for one in found] == ["b"]
