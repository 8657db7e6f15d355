"""Stage and import: bytes from the staging area, from the web, from another store."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest

from services.image.api.receiving import sweep
from services.image.drivers.inspect.inspector import Inspector
from tests.unit.image.world import World, a_world

DATA = b"bytes of an image"
QCOW2 = b"QFI\xfb" + bytes(508)


class Site(BaseHTTPRequestHandler):
    """Gives what stands in `pages`: bytes, or an address to go on to."""

    pages: ClassVar[dict[str, bytes | str]] = {}

    def do_GET(self) -> None:
        page = self.pages.get(self.path)
        self.send_response(404 if page is None else 302 if isinstance(page, str) else 200)
        if isinstance(page, str):
            self.send_header("location", page)
        data = page if isinstance(page, bytes) else b""
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Not in the tests' output."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def online(tmp_path: Path, inspector: Inspector, site: str) -> Iterator[World]:
    """A service with two stores that may download from the site."""
    port = int(site.rpartition(":")[2])
    with a_world(
        tmp_path,
        inspector,
        more_stores={"second": tmp_path / "second"},
        web_download_ports=[port, 80],
        web_download_networks=["127.0.0.0/8"],
        max_image_bytes=1 << 20,
    ) as made:
        yield made


def tasks(world: World, image_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
    return found


def test_staged_bytes_wait_and_become_the_image_s_by_import(world: World) -> None:
    image_id = world.create()["id"]

    staged = world.stage(image_id, DATA)
    waiting = world.shown(image_id)
    image = world.imported(image_id)

    assert (staged.status_code, waiting["status"], waiting["size"]) == (204, "uploading", None)
    assert (image["status"], image["size"], image["stores"]) == ("active", len(DATA), "file")
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")
    assert "os_glance_import_task" not in image
    assert world.alice.get(f"/v2/images/{image_id}/file").content == DATA
    assert world.files() == [image_id]


def test_an_import_shows_its_task_and_its_request(world: World) -> None:
    image_id = world.create()["id"]
    world.stage(image_id, DATA)

    begun = world.begin_import(image_id)
    during = world.shown(image_id)
    [before] = tasks(world, image_id)
    world.work()
    [after] = tasks(world, image_id)

    assert (during["status"], during["os_glance_import_task"]) == ("importing", before["id"])
    assert during["os_glance_importing_to_stores"] == "file"
    assert (before["status"], after["status"], after["type"]) == ("pending", "success", "api_image_import")
    assert after["request_id"] == begun.headers["x-openstack-request-id"]
    assert after["input"]["import_req"]["method"]["name"] == "glance-direct"
    assert after["result"] == {"image_id": image_id}


def test_staged_bytes_that_are_not_what_they_claim_are_refused_and_gone(world: World) -> None:
    image_id = world.create(disk_format="raw")["id"]
    world.stage(image_id, QCOW2)

    image = world.imported(image_id)

    [task] = tasks(world, image_id)
    assert (image["status"], image["os_glance_failed_import"]) == ("queued", "file")
    assert task["status"] == "failure"
    assert "refused" in task["message"]
    assert world.files() == []
    assert world.upload(image_id, DATA).status_code == 204


@pytest.mark.parametrize("method", ["glance-direct", "copy-image"])
def test_a_queued_image_is_neither_imported_directly_nor_copied(world: World, method: str) -> None:
    assert world.begin_import(world.create()["id"], method, world.admin).status_code == 409


def test_an_image_with_bytes_is_neither_staged_nor_filled_from_the_web(online: World, site: str) -> None:
    image_id = online.active()["id"]

    assert online.stage(image_id, DATA).status_code == 409
    assert online.begin_import(image_id, "web-download", uri=f"{site}/x").status_code == 409


@pytest.mark.parametrize("body", [{}, {"method": {}}, {"method": {"name": "teleport"}}, {"method": "web-download"}, []])
def test_an_import_that_names_no_known_way_is_400(world: World, body: Any) -> None:
    image_id = world.create()["id"]

    assert world.alice.post(f"/v2/images/{image_id}/import", json=body).status_code == 400


def test_only_its_owner_stages_and_imports(world: World) -> None:
    image_id = world.create(visibility="community")["id"]
    path = f"/v2/images/{image_id}/stage"

    staged = world.bob.put(path, content=DATA, headers={"content-type": "application/octet-stream"})
    world.stage(image_id, DATA)
    imported = world.begin_import(image_id, person=world.bob)

    assert (staged.status_code, imported.status_code) == (403, 403)


def test_deleting_a_staged_image_leaves_nothing(world: World) -> None:
    image_id = world.create()["id"]
    world.stage(image_id, DATA)

    world.alice.delete(f"/v2/images/{image_id}")

    assert world.files() == []


def test_deleting_an_image_while_it_is_imported_leaves_nothing(world: World) -> None:
    image_id = world.create()["id"]
    world.stage(image_id, DATA)
    world.begin_import(image_id)

    deleted = world.alice.delete(f"/v2/images/{image_id}")
    world.work()

    assert deleted.status_code == 204
    assert world.files() == []


def test_bytes_in_the_staging_area_count_against_it(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, staging_bytes=100) as world:
        first, second = world.create()["id"], world.create()["id"]

        answers = [world.stage(first, bytes(60)), world.stage(second, bytes(60))]

        assert [one.status_code for one in answers] == [204, 413]
        assert world.shown(second)["status"] == "queued"
        assert world.files() == [f"staged/{first}"]


def test_the_sweep_spares_what_waits_and_removes_what_nobody_waits_for(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, upload_patience_s=0.001) as world:
        image_id = world.create()["id"]
        world.stage(image_id, DATA)
        (world.kit.store.staged_path(uuid4())).write_bytes(b"a leftover")

        sweep(world.kit)

        assert world.files() == [f"staged/{image_id}"]
        assert world.imported(image_id)["status"] == "active"


def test_an_image_comes_from_the_web(online: World, site: str) -> None:
    Site.pages |= {"/image": DATA, "/moved": "/image"}
    image_id = online.create()["id"]

    image = online.imported(image_id, "web-download", uri=f"{site}/moved")

    assert (image["status"], image["size"]) == ("active", len(DATA))
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert online.alice.get(f"/v2/images/{image_id}/file").content == DATA


@pytest.mark.parametrize("page", [None, "http://169.254.169.254/", "file:///etc/passwd", "/round", bytes(2 << 20)])
def test_a_download_that_cannot_be_leaves_the_image_queued(online: World, site: str, page: bytes | str | None) -> None:
    Site.pages.pop("/round", None)
    if page is not None:
        Site.pages["/round"] = page
    image_id = online.create()["id"]

    image = online.imported(image_id, "web-download", uri=f"{site}/round")

    [task] = tasks(online, image_id)
    assert (image["status"], task["status"]) == ("queued", "failure")
    assert task["message"]
    assert "passwd" not in task["message"].replace("file:///etc/passwd", "")
    assert online.files() == []


def test_an_upload_goes_into_the_store_that_it_names(online: World) -> None:
    image_id = online.create()["id"]

    answer = online.upload(image_id, DATA, x_image_meta_store="second")

    assert answer.status_code == 204
    assert online.shown(image_id)["stores"] == "second"
    assert online.files() == []
    assert online.alice.get(f"/v2/images/{image_id}/file").content == DATA
    assert online.upload(online.create()["id"], DATA, x_image_meta_store="third").status_code == 409


def test_an_import_goes_into_all_stores_and_leaves_one_when_told(online: World) -> None:
    image_id = online.create()["id"]
    online.stage(image_id, DATA)

    image = online.imported(image_id, all_stores=True)
    refused = online.alice.delete(f"/v2/stores/file/{image_id}")
    removed = online.admin.delete(f"/v2/stores/file/{image_id}")
    last = online.admin.delete(f"/v2/stores/second/{image_id}")

    assert image["stores"] == "file,second"
    assert (refused.status_code, removed.status_code, last.status_code) == (403, 204, 403)
    assert online.shown(image_id)["stores"] == "second"
    assert online.alice.get(f"/v2/images/{image_id}/file").content == DATA


def test_places_are_told_to_services_and_set_by_nobody(world: World) -> None:
    image_id = world.active(DATA)["id"]
    path, told = f"/v2/images/{image_id}/locations", {"url": "http://host/x", "validation_data": {}}
    queued, service = f"/v2/images/{world.create(visibility='shared')['id']}/locations", world.person("ours", "service")

    for_service = service.get(path).json()
    refused = [world.admin.get(path), *(who.post(queued, json=told) for who in (world.alice, world.admin, service))]

    assert [one["metadata"] for one in for_service] == [{"store": "file"}]
    assert [one.status_code for one in refused] == [403] * 4
    assert refused[1].json()["message"].startswith("http store must be enabled to use location API")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"url": "http://host/x"}, 409),  # this image has bytes
        ({}, 400),
        ({"url": 1}, 400),
        ({"url": "http://host/x", "validation_data": {"os_hash_algo": "sha512"}}, 400),
        ({"url": "http://host/x", "validation_data": {"os_hash_algo": "crc", "os_hash_value": "0"}}, 400),
        ({"url": "http://host/x", "validation_data": {"colour": "red"}}, 400),
    ],
    ids=str,
)
def test_a_place_is_read_before_it_is_refused(world: World, body: dict[str, Any], status: int) -> None:
    path = f"/v2/images/{world.active(DATA)['id']}/locations"

    assert world.alice.post(path, json=body).status_code == status
    assert world.bob.post(path, json={"url": "http://host/x"}).status_code == 404


def test_an_image_is_copied_into_the_stores_that_lack_it(online: World) -> None:
    image_id = online.active(DATA)["id"]

    refused = online.begin_import(image_id, "copy-image", all_stores=True)
    image = online.imported(image_id, "copy-image", person=online.admin, all_stores=True, all_stores_must_succeed=False)
    again = online.begin_import(image_id, "copy-image", online.admin, stores=["second"])
    everywhere = online.begin_import(image_id, "copy-image", online.admin, all_stores=True)

    assert refused.status_code == 403
    assert (image["status"], image["stores"], image["os_glance_importing_to_stores"]) == ("active", "file,second", "")
    assert (again.status_code, everywhere.status_code) == (400, 202)


def test_a_copy_into_all_stores_of_an_image_that_is_everywhere_has_ended(world: World) -> None:
    image_id = world.active(DATA)["id"]

    answer = world.begin_import(image_id, "copy-image", world.admin, all_stores=True)

    image = world.shown(image_id)
    assert answer.status_code == 202
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")


def test_a_copy_that_a_store_does_not_take_leaves_the_image_as_it_was(online: World, tmp_path: Path) -> None:
    image_id = online.active(DATA)["id"]
    (tmp_path / "second").rename(tmp_path / "gone")

    image = online.imported(image_id, "copy-image", person=online.admin, stores=["second"])
    (tmp_path / "gone").rename(tmp_path / "second")

    assert (image["status"], image["stores"], image["os_glance_failed_import"]) == ("active", "file", "second")
    assert [one["status"] for one in tasks(online, image_id)] == ["failure"]
    assert online.alice.get(f"/v2/images/{image_id}/file").content == DATA


def test_an_import_into_stores_that_need_not_all_succeed_keeps_what_it_can(online: World, tmp_path: Path) -> None:
    image_id = online.create()["id"]
    online.stage(image_id, DATA)
    (tmp_path / "second").rename(tmp_path / "gone")

    image = online.imported(image_id, all_stores=True, all_stores_must_succeed=False)
    (tmp_path / "gone").rename(tmp_path / "second")

    assert (image["status"], image["stores"], image["os_glance_failed_import"]) == ("active", "file", "second")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"stores": ["nowhere"]}, 409),
        ({"stores": ["file"], "all_stores": True}, 400),
        ({"all_stores_must_succeed": False}, 202),  # what `openstack image import` sends
        ({"all_stores": "yes"}, 400),
    ],
)
def test_a_choice_of_stores_that_cannot_be_is_refused(online: World, more: dict[str, Any], status: int) -> None:
    image_id = online.create()["id"]
    online.stage(image_id, DATA)

    assert online.begin_import(image_id, **more).status_code == status


def test_clients_learn_which_ways_and_stores_there_are(online: World) -> None:
    created = online.alice.post("/v2/images", json={})

    stores = online.alice.get("/v2/info/stores").json()["stores"]
    methods = online.alice.get("/v2/info/import").json()["import-methods"]["value"]
    detail = online.admin.get("/v2/info/stores/detail").json()["stores"]

    assert stores == [{"id": "file", "default": "true"}, {"id": "second"}]
    assert methods == ["glance-direct", "web-download", "copy-image"]
    assert created.headers["openstack-image-import-methods"] == ",".join(methods)
    assert created.headers["openstack-image-store-ids"] == "file,second"
    assert [one["type"] for one in detail] == ["file", "file"]
    assert online.alice.get("/v2/info/stores/detail").status_code == 403


def test_usage_counts_images_and_bytes_that_wait(world: World) -> None:
    world.active(bytes(1 << 20))
    world.stage(world.create()["id"], bytes(100))

    usage = world.alice.get("/v2/info/usage").json()["usage"]

    assert {name: one["usage"] for name, one in usage.items()} == {
        "image_size_total": 2,
        "image_stage_total": 1,
        "image_count_total": 2,
        "image_count_uploading": 1,
    }


def test_more_images_than_the_quota_are_413(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, project_quota_images=1) as world:
        answers = [world.alice.post("/v2/images", json={}) for _ in range(2)]

        assert [one.status_code for one in answers] == [201, 413]


def test_a_project_stages_no_more_than_its_quota(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, project_quota_staged_bytes=1000) as world:
        first, second = (world.create()["id"] for _ in range(2))
        world.stage(first, bytes(600))

        refused = world.alice.put(
            f"/v2/images/{second}/stage", content=bytes(600), headers={"content-type": "application/octet-stream"}
        )

        assert refused.status_code == 413 and "may stage 1000 bytes of images and has 600 already" in refused.text
        assert world.alice.get(f"/v2/images/{second}").json()["status"] == "queued"
        world.stage(second, bytes(400))


def test_more_uploads_at_a_time_than_the_quota_are_413(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, project_quota_uploading=1) as world:
        first, second = (world.create()["id"] for _ in range(2))
        world.stage(first, bytes(10))

        refused = world.alice.put(
            f"/v2/images/{second}/file", content=b"x", headers={"content-type": "application/octet-stream"}
        )

        assert refused.status_code == 413 and "may have 1 uploads at a time" in refused.text
        assert world.alice.get(f"/v2/images/{second}").json()["status"] == "queued"


def test_an_administrator_s_task_makes_the_image_too(online: World, site: str) -> None:
    Site.pages["/new"] = DATA
    properties = {"name": "by task", "disk_format": "raw", "container_format": "bare"}
    asked = {"import_from": f"{site}/new", "import_from_format": "raw", "image_properties": properties}

    created = online.admin.post("/v2/tasks", json={"type": "import", "input": asked})
    online.work()
    task = online.admin.get(f"/v2/tasks/{created.json()['id']}").json()

    assert (created.status_code, task["status"]) == (201, "success")
    image = online.admin.get(f"/v2/images/{task['result']['image_id']}").json()
    assert (image["name"], image["status"]) == ("by task", "active")
    assert [one["id"] for one in online.admin.get("/v2/tasks").json()["tasks"]] == [task["id"]]
    assert online.admin.get("/v2/tasks?status=pending").json()["tasks"] == []


def test_tasks_are_for_administrators(world: World) -> None:
    answers = [
        world.alice.get("/v2/tasks"),
        world.alice.get(f"/v2/tasks/{uuid4()}"),
        world.alice.post("/v2/tasks", json={"type": "import", "input": {}}),
    ]

    assert [one.status_code for one in answers] == [403] * 3


@pytest.mark.parametrize("query", ["limit=x", "marker=x", f"marker={UUID(int=1)}", "sort_key=owner", "sort_dir=up"])
def test_a_list_of_tasks_nobody_can_answer_is_400(world: World, query: str) -> None:
    assert world.admin.get(f"/v2/tasks?{query}").status_code == 400
