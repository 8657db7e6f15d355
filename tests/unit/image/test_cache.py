"""The cache, for administrators; `tests/contract/image` fills it from a real S3 server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.image.api.caching import tend
from services.image.drivers.inspect.inspector import Inspector
from tests.unit.image.world import World, a_world

DATA = os.urandom(5000)


def listed(world: World) -> tuple[list[str], list[str]]:
    """Ids of what is cached, and of what waits."""
    body = world.admin.get("/v2/cache").json()
    return [one["image_id"] for one in body["cached_images"]], body["queued_images"]


def cached_files(world: World) -> list[str]:
    return [name for name in world.files() if name.startswith("cached/")]


def test_a_queued_image_is_cached_soon(world: World) -> None:
    image = world.active(DATA)

    answer = world.admin.put(f"/v2/cache/{image['id']}")
    waiting = listed(world)
    tend(world.kit)

    [entry] = world.admin.get("/v2/cache").json()["cached_images"]
    assert (answer.status_code, waiting, listed(world)) == (202, ([], [image["id"]]), ([image["id"]], []))
    assert (entry["size"], entry["hits"]) == (5000, 0)
    assert entry["last_modified"] <= entry["last_accessed"]
    assert cached_files(world) == [f"cached/{image['id']}"]


def test_an_image_of_this_machine_s_own_store_is_cached_without_a_copy(world: World) -> None:
    image = world.active(DATA)

    world.admin.put(f"/v2/cache/{image['id']}")
    tend(world.kit)

    assert (world.kit.store.directory / "cached" / image["id"]).stat().st_nlink == 2


def test_what_has_no_bytes_is_not_queued(world: World) -> None:
    assert world.admin.put(f"/v2/cache/{world.create()['id']}").status_code == 400
    assert world.admin.put("/v2/cache/non-existing-image-id").status_code == 404
    assert world.admin.put("/v2/cache/a1b2c3d4-0000-4000-8000-000000000000").status_code == 404


def test_one_image_leaves_the_cache_or_the_queue(world: World) -> None:
    first, second = world.active(DATA)["id"], world.active(DATA)["id"]
    world.admin.put(f"/v2/cache/{first}")
    tend(world.kit)
    world.admin.put(f"/v2/cache/{second}")

    answers = [world.admin.delete(f"/v2/cache/{one}").status_code for one in (first, second, first)]

    assert answers == [204, 204, 404]
    assert (listed(world), cached_files(world)) == (([], []), [])
    assert world.alice.get(f"/v2/images/{first}/file").content == DATA


@pytest.mark.parametrize(
    ("target", "left"),
    [(None, (0, 0)), ("", (0, 0)), ("cache", (0, 1)), ("queue", (1, 0)), ("both", None), ("invalid", None)],
)
def test_clearing_takes_the_part_that_is_named(world: World, target: str | None, left: tuple[int, int] | None) -> None:
    first, second = world.active(DATA)["id"], world.active(DATA)["id"]
    world.admin.put(f"/v2/cache/{first}")
    tend(world.kit)
    world.admin.put(f"/v2/cache/{second}")
    headers = {} if target is None else {"x-image-cache-clear-target": target}

    answer = world.admin.delete("/v2/cache", headers=headers)

    cached, queued = listed(world)
    assert answer.status_code == (400 if left is None else 204)
    assert (len(cached), len(queued)) == (left or (1, 1))
    assert len(cached_files(world)) == len(cached)


def test_the_longest_unused_goes_when_there_is_too_much(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, cache_bytes=11_000) as world:
        ids = [world.active(DATA)["id"] for _ in range(3)]
        for one in ids:
            world.admin.put(f"/v2/cache/{one}")
            tend(world.kit)

        assert listed(world) == (ids[1:], [])
        assert cached_files(world) == sorted(f"cached/{one}" for one in ids[1:])


def test_what_nobody_used_for_long_goes(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, cache_idle_s=1e-6) as world:
        world.admin.put(f"/v2/cache/{world.active(DATA)['id']}")

        tend(world.kit)

        assert (listed(world), cached_files(world)) == (([], []), [])


def test_a_deleted_image_leaves_nothing_in_the_cache(world: World) -> None:
    image_id = world.active(DATA)["id"]
    world.admin.put(f"/v2/cache/{image_id}")
    tend(world.kit)

    world.alice.delete(f"/v2/images/{image_id}")

    assert (listed(world), world.files()) == (([], []), [])


def test_files_that_the_database_does_not_know_are_removed(world: World) -> None:
    (world.kit.store.directory / "cached" / "a1b2c3d4-0000-4000-8000-000000000000").write_bytes(DATA)

    tend(world.kit)

    assert cached_files(world) == []


@pytest.mark.parametrize(("verb", "path"), [("GET", ""), ("PUT", "/{id}"), ("DELETE", "/{id}"), ("DELETE", "")])
def test_the_cache_is_the_administrators_alone(world: World, verb: str, path: str) -> None:
    image_id = world.active(DATA)["id"]

    assert world.alice.request(verb, "/v2/cache" + path.format(id=image_id)).status_code == 403


def test_a_site_without_a_cache_says_so_and_announces_none(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, cache_bytes=0) as world:
        versions = [one["id"] for one in world.alice.get("/versions").json()["versions"]]

        tend(world.kit)

        assert world.admin.get("/v2/cache").status_code == 404
        assert "v2.17" in versions and not {"v2.14", "v2.16"} & {*versions}


def test_a_site_with_a_cache_announces_it(world: World) -> None:
    versions = [one["id"] for one in world.alice.get("/versions").json()["versions"]]

    assert versions == [f"v2.{minor}" for minor in range(17, -1, -1)]
