"""Lists: pages, order, filters, and what each project sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.db.counting import counted
from tests.unit.image.world import World


def names(world: World, query: str = "", person: Any = None) -> list[str]:
    answer = (person or world.alice).get(f"/v2/images{query}")
    assert answer.status_code == 200, answer.text
    return [image["name"] for image in answer.json()["images"]]


@pytest.fixture
def three(world: World) -> list[dict[str, Any]]:
    """a, b and c, made in this order."""
    return [
        world.active(b"x" * size, name=name, tags=[name, "all"], colour=colour, min_ram=size)
        for name, size, colour in (("a", 10, "red"), ("b", 20, "blue"), ("c", 30, "red"))
    ]


def test_an_empty_list_still_says_where_it_begins(world: World) -> None:
    assert world.alice.get("/v2/images").json() == {"images": [], "first": "/v2/images", "schema": "/v2/schemas/images"}


def test_pages_lead_to_each_other_and_every_image_is_seen_once(world: World, three: list[dict[str, Any]]) -> None:
    seen, path = [], "/v2/images?limit=2&sort=name:asc"

    while path:
        page = world.alice.get(path).json()
        seen += [image["name"] for image in page["images"]]
        assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc"
        path = page.get("next", "")

    assert seen == ["a", "b", "c"]


def test_a_page_has_25_images_unless_asked_otherwise(world: World) -> None:
    for number in range(26):
        world.create(name=f"{number:02}")

    page = world.alice.get("/v2/images").json()

    assert len(page["images"]) == 25
    assert page["images"][0]["name"] == "25"
    assert names(world, page["next"].removeprefix("/v2/images")) == ["00"]
    assert len(names(world, "?limit=999999")) == 26


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?sort=name:desc", "cba"),
        ("?sort=name", "cba"),
        ("?sort_key=name&sort_dir=asc", "abc"),
        ("?sort_key=size", "cba"),
        ("?sort_key=status&sort_key=name&sort_dir=asc&sort_dir=desc", "cba"),
        ("?sort=status:asc,size:asc", "abc"),
        ("?sort_dir=asc", "abc"),
        ("?limit=0", ""),
        ("?name=b", "b"),
        ("?name=in:a,c&sort=name:asc", "ac"),
        ('?name=in:"a","b"&sort=name:asc', "ab"),
        ("?status=queued", ""),
        ("?status=in:queued,active", "cba"),
        ("?disk_format=raw&container_format=bare", "cba"),
        ("?disk_format=qcow2", ""),
        ("?size_min=20", "cb"),
        ("?size_max=20", "ba"),
        ("?size_min=11&size_max=29", "b"),
        ("?min_ram=30", "c"),
        ("?min_ram_min=20&min_disk_max=0", "cb"),
        ("?virtual_size_max=20", "ba"),
        ("?name=eq:b", "b"),
        ("?id=in:00000000-0000-0000-0000-000000000000", ""),
        ("?tag=a", "a"),
        ("?tag=all&tag=b", "b"),
        ("?tag=none", ""),
        ("?colour=red", "ca"),
        ("?colour=red&name=a", "a"),
        ("?colour=green", ""),
        ("?unknown=x", ""),
        ("?protected=false", "cba"),
        ("?protected=True", ""),
        ("?os_hidden=true", ""),
        ("?visibility=shared", "cba"),
        ("?visibility=public", ""),
        ("?visibility=all", "cba"),
        ("?id=nonsense", ""),
        ("?owner=somebody", ""),
        ("?created_at=gt:2020-01-01T00:00:00Z", "cba"),
        ("?created_at=lt:2020-01-01T00:00:00Z", ""),
        ("?updated_at=gte:2020-01-01", "cba"),
        ("?member_status=all", "cba"),
    ],
)
def test_lists_are_ordered_and_filtered(world: World, three: list[dict[str, Any]], query: str, expected: str) -> None:
    assert names(world, query) == list(expected)


@pytest.mark.parametrize("name", ["a,b", 'say "yes"', "in:x", "eq:", "a:b", "100%", "a\\b", "é"])
def test_a_name_is_found_however_it_is_spelled(world: World, name: str) -> None:
    world.create(name="other")
    world.create(name=name)
    quoted = '"' + name.replace('"', '""') + '"'

    one = world.alice.get("/v2/images", params={"name": f"eq:{name}"}).json()["images"]
    several = world.alice.get("/v2/images", params={"name": f"in:{quoted},nobody"}).json()["images"]

    assert [image["name"] for image in one] == [image["name"] for image in several] == [name]


def test_images_are_found_by_hash_and_by_several_ids(world: World, three: list[dict[str, Any]]) -> None:
    a, b, c = three

    by_ids = names(world, f"?id=in:{a['id']},{c['id']}&sort=created_at:asc")

    assert by_ids == ["a", "c"]
    assert names(world, f"?checksum={b['checksum']}") == ["b"]
    assert names(world, f"?os_hash_value={b['os_hash_value']}") == ["b"]
    assert "b" in names(world, "?os_hash_algo=sha512") and names(world, "?os_hash_algo=md5") == []


def test_times_compare_exactly(world: World) -> None:
    world.create(name="now")
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert names(world, f"?created_at=lt:{later}") == ["now"]
    assert names(world, f"?created_at=gte:{later}") == []
    assert names(world, f"?created_at=neq:{later}") == ["now"]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "?limit=-1",
            "?limit=x",
            "?marker=none",
            "?marker=9b6a4ad6-6d0b-4a39-a77b-9e7c2e9f8a11",
            "?sort=nonsense:asc",
        ),
        *(
            "?sort=name:up",
            "?sort=name:asc&sort_key=id",
            "?sort_key=name&sort_key=id&sort_dir=asc&sort_dir=asc&sort_dir=asc",
        ),
        *(
            "?sort=name:asc,name:desc",
            "?visibility=secret",
            "?size_min=x",
            "?size_max=-1",
            "?size_min=99999999999999999999",
        ),
        *(
            "?protected=maybe",
            "?created_at=gt:yesterday",
            "?created_at=near:2020-01-01",
            "?member_status=x",
            "?name=a%00b",
        ),
        *("?changes-since=2020-01-01T00:00:00Z", "?min_ram_min=x"),
        *('?name=in:"a', "?size=x", "?sort="),
    ],
)
def test_a_list_nobody_can_answer_is_400(world: World, query: str) -> None:
    world.create()

    assert world.alice.get(f"/v2/images{query}").status_code == 400


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", ["name", "size", "disk_format", "created_at"])
def test_images_that_lack_the_attribute_have_their_place_in_pages_too(world: World, key: str, direction: str) -> None:
    for name in ("a", None, "b", None):
        world.alice.post("/v2/images", json={"name": name, "disk_format": "raw" if name else None})
    world.active(name="sized")
    order = f"sort={key}:{direction}"
    whole = [image["id"] for image in world.alice.get(f"/v2/images?{order}").json()["images"]]

    paged, path = [], f"/v2/images?limit=1&{order}"
    while path:
        page = world.alice.get(path).json()
        paged += [image["id"] for image in page["images"]]
        path = page.get("next", "")

    assert len(whole) == 5
    assert paged == whole


def test_each_project_lists_its_own_images_and_public_ones(world: World) -> None:
    world.create(name="private", visibility="private")
    world.create(name="shared")
    world.create(name="community", visibility="community")
    world.create(name="hidden", os_hidden=True)
    world.create(world.admin, name="public", visibility="public")

    assert names(world, "?sort=name:asc") == ["community", "private", "public", "shared"]
    assert names(world, "?sort=name:asc", world.bob) == ["public"]
    assert names(world, "?visibility=community", world.bob) == ["community"]
    assert names(world, "?visibility=all&sort=name:asc", world.bob) == ["community", "public"]
    assert names(world, "?visibility=private", world.bob) == []
    assert names(world, "?os_hidden=true") == ["hidden"]
    assert names(world, "?sort=name:asc", world.person("an-admin", "admin")) == [
        *("community", "private", "public", "shared"),
    ]


def test_a_marker_from_a_stranger_s_private_image_is_unknown(world: World) -> None:
    image_id = world.create(visibility="private")["id"]

    assert world.bob.get(f"/v2/images?marker={image_id}").status_code == 400


def test_a_list_needs_as_many_queries_for_many_images_as_for_one(world: World) -> None:
    world.create(name="one", tags=["t"], a="b")
    with counted(world.kit.database) as for_one:
        world.alice.get("/v2/images?limit=1000")

    for number in range(60):
        world.create(name=str(number), tags=["t", "u"], a="b", c="d")
    with counted(world.kit.database) as for_many:
        world.alice.get("/v2/images?limit=1000")

    assert len(for_many) == len(for_one) == 4
