"""Create, show, change, delete: attributes, properties, tags, and who may do what."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.unit.image.world import ADMIN, ALICE, BOB, World

NO_IMAGE = "No image found with ID {}<br /><br />\n\n\n"


def test_a_new_image_is_queued_and_has_the_api_s_defaults(world: World) -> None:
    answer = world.alice.post("/v2/images", json={"foo": "bar"})

    image = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://cloud.test/image/v2/images/{image['id']}"
    assert image == {
        "foo": "bar",
        "name": None,
        "disk_format": None,
        "container_format": None,
        "visibility": "shared",
        "size": None,
        "virtual_size": None,
        "status": "queued",
        "checksum": None,
        "protected": False,
        "min_ram": 0,
        "min_disk": 0,
        "owner": ALICE,
        "os_hidden": False,
        "os_hash_algo": None,
        "os_hash_value": None,
        "id": image["id"],
        "created_at": image["created_at"],
        "updated_at": image["created_at"],
        "tags": [],
        "self": f"/v2/images/{image['id']}",
        "file": f"/v2/images/{image['id']}/file",
        "schema": "/v2/schemas/image",
    }
    assert len(image["created_at"]) == len("2026-11-22T20:12:34Z")
    assert world.shown(image["id"]) == image


def test_the_client_may_choose_an_id_that_nobody_ever_had(world: World) -> None:
    chosen = str(uuid4())

    first, second = (
        world.alice.post("/v2/images", json={"id": chosen}),
        world.bob.post("/v2/images", json={"id": chosen}),
    )
    world.alice.delete(f"/v2/images/{chosen}")
    after_deletion = world.bob.post("/v2/images", json={"id": chosen})

    assert (first.status_code, first.json()["id"]) == (201, chosen)
    assert second.status_code == after_deletion.status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 1},
        {"name": "x" * 256},
        {"name": "a\0b"},
        {"name": "half \ud800"},
        {"id": "../../etc/x"},
        {"id": 7},
        {"visibility": "secret"},
        {"protected": "yes"},
        {"os_hidden": 1},
        {"min_disk": -1},
        {"min_ram": 1 << 31},
        {"min_ram": "1"},
        {"disk_format": "floppy"},
        {"container_format": "box"},
        {"tags": "one"},
        {"tags": ["x" * 256]},
        {"tags": [1]},
        {"foo": 1},
        {"foo": None},
        {"foo": {"deep": "er"}},
        {"": "x"},
        {"x" * 256: "y"},
        {"foo": "x" * 65_536},
    ],
    ids=lambda wrong: str(wrong)[:40].encode("ascii", "replace").decode(),
)
def test_what_no_image_can_have_is_400(world: World, wrong: dict[str, Any]) -> None:
    answer = world.alice.post("/v2/images", content=json.dumps(wrong))

    assert answer.status_code == 400, answer.text
    assert world.alice.get("/v2/images").json()["images"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b'{"a":"b","a":"c"}', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json_object_is_400(world: World, body: bytes) -> None:
    assert world.alice.post("/v2/images", content=body).status_code == 400


@pytest.mark.parametrize(
    "name",
    ["status", "size", "checksum", "self", "created_at", "os_hash_value", "location", "os_glance_x"],
)
def test_nobody_sets_what_the_service_sets(world: World, name: str) -> None:
    created = world.admin.post("/v2/images", json={name: "x"})
    image_id = world.create()["id"]
    patched = world.patch(image_id, {"op": "add", "path": f"/{name}", "value": "x"}, person=world.admin)

    assert (created.status_code, patched.status_code) == (403, 403)


def test_too_many_properties_or_tags_are_413(world: World) -> None:
    properties = world.alice.post("/v2/images", json={f"p{number}": "x" for number in range(129)})
    tags = world.alice.post("/v2/images", json={"tags": [f"t{number}" for number in range(129)]})

    assert (properties.status_code, tags.status_code) == (413, 413)


def test_a_patch_adds_replaces_and_removes(world: World) -> None:
    image_id = world.create(foo="bar", old="x", tags=["a"])["id"]

    answer = world.patch(
        image_id,
        {"op": "replace", "path": "/foo", "value": "baz"},
        {"op": "add", "path": "/new~1slash~0tilde", "value": "v"},
        {"op": "remove", "path": "/old"},
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "replace", "path": "/tags", "value": ["c", "b", "b"]},
        {"op": "replace", "path": "/min_disk", "value": 3},
        {"op": "replace", "path": "/visibility", "value": "private"},
    )

    image = answer.json()
    assert answer.status_code == 200
    assert (image["foo"], image["new/slash~tilde"], image["name"]) == ("baz", "v", "renamed")
    assert (image["tags"], image["min_disk"], image["visibility"]) == (["b", "c"], 3, "private")
    assert "old" not in image
    assert world.shown(image_id) == image


def test_the_older_patch_form_works_too(world: World) -> None:
    image_id = world.create()["id"]

    answer = world.patch(
        image_id, {"replace": "/name", "value": "older"}, media_type="application/openstack-images-v2.0-json-patch"
    )

    assert (answer.status_code, answer.json()["name"]) == (200, "older")


@pytest.mark.parametrize("name", ["name", "colour"])
def test_the_older_form_adds_only_what_is_not_there(world: World, name: str) -> None:
    image_id, older = world.create(colour="red")["id"], "application/openstack-images-v2.0-json-patch"

    refused = world.patch(image_id, {"add": f"/{name}", "value": "x"}, media_type=older)
    added = world.patch(image_id, {"add": "/size_of_shoes", "value": "42"}, media_type=older)

    assert (refused.status_code, added.status_code, added.json()["size_of_shoes"]) == (409, 200, "42")


def test_a_patch_in_the_internet_s_own_media_type_works_too(world: World) -> None:
    image_id = world.create()["id"]

    answer = world.patch(
        image_id, {"op": "replace", "path": "/name", "value": "n"}, media_type="application/json-patch+json"
    )

    assert (answer.status_code, answer.json()["name"]) == (200, "n")


def test_a_patch_in_another_media_type_is_415_and_says_which_are_taken(world: World) -> None:
    image_id = world.create()["id"]

    answer = world.patch(image_id, {"op": "add", "path": "/a", "value": "b"}, media_type="application/json")

    assert answer.status_code == 415
    assert answer.headers["accept-patch"] == (
        "application/json-patch+json, application/openstack-images-v2.0-json-patch, "
        "application/openstack-images-v2.1-json-patch"
    )


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "remove", "path": "/zzz"}, 409),
        ({"op": "replace", "path": "/zzz", "value": "x"}, 409),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/id", "value": "a1b2c3d4-0000-4000-8000-000000000000"}, 403),
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/owner", "value": BOB}, 403),
        ({"op": "add", "path": "/locations", "value": []}, 400),
        ({"op": "add", "path": "/locations/-", "value": {"url": "file:///etc/passwd"}}, 403),
        ({"op": "replace", "path": "/locations", "value": [{"url": "file:///etc/passwd"}]}, 403),
        ({"op": "replace", "path": "/locations", "value": []}, 403),
        ({"op": "replace", "path": "/locations/0", "value": []}, 400),
        ({"op": "remove", "path": "/locations/0"}, 403),
        ({"op": "add", "path": "/a/b", "value": "x"}, 400),
        ({"op": "add", "path": "a", "value": "x"}, 400),
        ({"op": "add", "path": "/a~2", "value": "x"}, 400),
        ({"op": "add", "path": "/", "value": "x"}, 400),
        ({"op": "add", "path": "/a"}, 400),
        ({"op": "test", "path": "/a", "value": "x"}, 400),
        ({"op": "add", "path": "/a", "value": 1}, 400),
        ({"op": "replace", "path": "/min_ram", "value": -1}, 400),
        ({"op": "replace", "path": "/protected", "value": None}, 400),
        ({"path": "/a", "value": "x"}, 400),
        ({}, 400),
    ],
    ids=str,
)
def test_a_patch_that_may_not_be_changes_nothing(world: World, operation: dict[str, Any], status: int) -> None:
    before = world.create()

    answer = world.patch(before["id"], {"op": "add", "path": "/fine", "value": "x"}, operation)

    assert answer.status_code == status, answer.text
    assert world.shown(before["id"]) == before


@pytest.mark.parametrize("body", [b"{}", b'["x"]', b"null", b"["])
def test_a_patch_that_is_no_list_of_operations_is_400(world: World, body: bytes) -> None:
    image_id = world.create()["id"]
    headers = {"content-type": "application/openstack-images-v2.1-json-patch"}

    assert world.alice.request("PATCH", f"/v2/images/{image_id}", content=body, headers=headers).status_code == 400


def test_formats_of_an_image_with_bytes_stay(world: World) -> None:
    image = world.active()

    answer = world.patch(image["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"})

    assert answer.status_code == 403
    assert world.shown(image["id"]) == image


def test_a_protected_image_is_not_deleted(world: World) -> None:
    image = world.active(protected=True)

    refused = world.alice.delete(f"/v2/images/{image['id']}")
    world.patch(image["id"], {"op": "replace", "path": "/protected", "value": False})
    deleted = world.alice.delete(f"/v2/images/{image['id']}")

    assert (refused.status_code, deleted.status_code, deleted.content) == (403, 204, b"")
    assert world.files() == []
    assert world.alice.get(f"/v2/images/{image['id']}").status_code == 404


def test_tags_come_and_go_one_by_one(world: World) -> None:
    image_id = world.create()["id"]

    added = [world.alice.put(f"/v2/images/{image_id}/tags/{tag}").status_code for tag in ("b", "a", "b")]
    tags = world.shown(image_id)["tags"]
    removed = [world.alice.delete(f"/v2/images/{image_id}/tags/a").status_code for _ in range(2)]

    assert (added, tags, removed) == ([204, 204, 204], ["a", "b"], [204, 404])
    assert world.shown(image_id)["tags"] == ["b"]
    assert world.alice.put(f"/v2/images/{image_id}/tags/{'x' * 256}").status_code == 400
    assert world.bob.put(f"/v2/images/{image_id}/tags/b").status_code == 404


@pytest.mark.parametrize("visibility", ["private", "shared"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/file"),
        ("PUT", "/file"),
        ("PUT", "/tags/t"),
        ("DELETE", "/tags/t"),
    ],
)
def test_an_image_that_is_not_theirs_looks_like_none(world: World, visibility: str, method: str, path: str) -> None:
    image = world.active(visibility=visibility)
    unknown = str(uuid4())
    media_type = "application/octet-stream" if path == "/file" else "application/openstack-images-v2.1-json-patch"
    more: dict[str, Any] = {"headers": {"content-type": media_type}, "content": b"[]"}

    theirs, none = (world.bob.request(method, f"/v2/images/{one}{path}", **more) for one in (image["id"], unknown))

    assert theirs.status_code == none.status_code == 404
    assert theirs.json()["message"] == NO_IMAGE.format(image["id"])
    assert theirs.text.replace(image["id"], unknown) == none.text
    assert world.shown(image["id"]) == image


@pytest.mark.parametrize("visibility", ["public", "community"])
def test_an_image_open_to_all_may_be_read_by_all_and_changed_by_none_of_them(world: World, visibility: str) -> None:
    image = world.active(b"for all")
    world.patch(image["id"], {"op": "replace", "path": "/visibility", "value": visibility}, person=world.admin)

    path = f"/v2/images/{image['id']}"
    shown, read = world.bob.get(path), world.bob.get(f"{path}/file")
    changed = world.patch(image["id"], {"op": "add", "path": "/a", "value": "b"}, person=world.bob)
    deleted = world.bob.delete(path)

    assert (shown.status_code, read.content) == (200, b"for all")
    assert (changed.status_code, deleted.status_code) == (403, 403)


def test_only_admins_publish_images_and_make_them_for_others(world: World) -> None:
    body = {"visibility": "public"}

    members = world.alice.post("/v2/images", json=body)
    for_others = world.alice.post("/v2/images", json={"owner": BOB})
    admins = world.admin.post("/v2/images", json=body | {"owner": BOB})

    assert (members.status_code, for_others.status_code) == (403, 403)
    assert (admins.status_code, admins.json()["owner"]) == (201, BOB)


def test_a_reader_reads_and_changes_nothing(world: World) -> None:
    image = world.active()
    reader = world.person(ALICE, "reader")

    assert reader.get(f"/v2/images/{image['id']}").status_code == 200
    assert reader.get(f"/v2/images/{image['id']}/file").status_code == 403  # as since 2026.2: bytes are for members
    assert reader.post("/v2/images", json={}).status_code == 403
    assert world.patch(image["id"], {"op": "add", "path": "/a", "value": "b"}, person=reader).status_code == 403
    assert reader.delete(f"/v2/images/{image['id']}").status_code == 403


def test_services_and_admins_see_every_image_and_only_services_where_its_bytes_are(world: World) -> None:
    image = world.active(visibility="private")
    service, admin = world.person(BOB, "service"), world.person(BOB, *ADMIN)

    path = f"/v2/images/{image['id']}"
    place = world.kit.store.path(image["id"]).as_uri()
    assert service.get(path).json() == image | {"direct_url": place}
    assert service.get(f"{path}/file").content == b"some bytes"
    assert admin.get(path).json() == image
    assert service.delete(path).status_code == 403


def test_a_caller_without_any_known_role_may_not_even_look(world: World) -> None:
    image = world.active()
    stranger = world.person(ALICE, "guest")

    assert stranger.get("/v2/images").status_code == 403
    assert stranger.get(f"/v2/images/{image['id']}").status_code == 403
