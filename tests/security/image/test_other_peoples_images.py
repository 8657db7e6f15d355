"""I18: what others may read is still not theirs.  I19: an error of the store names no place of ours.  I15: a crowd of imports."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest

from services.image.api.receiving import sweep
from services.image.drivers.inspect.inspector import Inspector
from services.image.drivers.store.files import FileStore
from tests.unit.image.world import BOB, BYTES, PATCH, World, a_world

ATTEMPTS = {
    "delete": ("DELETE", "", None),
    "deactivate": ("POST", "/actions/deactivate", None),
    "reactivate": ("POST", "/actions/reactivate", None),
    "change": ("PATCH", "", [{"op": "replace", "path": "/name", "value": "mine"}]),
    "tag": ("PUT", "/tags/mine", None),
    "untag": ("DELETE", "/tags/hers", None),
    "share": ("POST", "/members", {"member": BOB}),
    "unshare": ("DELETE", f"/members/{BOB}", None),
    "import": ("POST", "/import", {"method": {"name": "glance-direct"}}),
    "copy": ("POST", "/import", {"method": {"name": "copy-image"}, "all_stores": True}),
    "locate": ("GET", "/locations", None),
}


def published(world: World, visibility: str) -> str:
    """An active image of Alice's that Bob can see."""
    image_id = str(world.active(tags=["hers"])["id"])
    if visibility == "shared":
        world.alice.post(f"/v2/images/{image_id}/members", json={"member": BOB})
        world.bob.put(f"/v2/images/{image_id}/members/{BOB}", json={"status": "accepted"})
    else:
        person = world.admin if visibility == "public" else world.alice
        world.patch(image_id, {"op": "replace", "path": "/visibility", "value": visibility}, person=person)
    assert world.bob.get(f"/v2/images/{image_id}").status_code == 200
    return image_id


@pytest.mark.parametrize("visibility", ["public", "community", "shared"])
def test_i18_an_image_that_others_may_read_is_changed_by_its_owner_alone(world: World, visibility: str) -> None:
    image_id = published(world, visibility)
    before = world.shown(image_id)

    answers = {
        name: world.bob.request(
            method,
            f"/v2/images/{image_id}{path}",
            json=body,
            headers={"content-type": PATCH} if name == "change" else {},
        ).status_code
        for name, (method, path, body) in ATTEMPTS.items()
    }
    uploads = [
        world.bob.put(f"/v2/images/{image_id}/{path}", content=b"his", headers={"content-type": BYTES}).status_code
        for path in ("file", "stage")
    ]

    assert {*answers.values(), *uploads} <= {403, 404}, answers
    assert world.shown(image_id) == before
    assert world.alice.get(f"/v2/images/{image_id}/file").content == b"some bytes"


def break_by_removal(world: World, image_id: str) -> None:
    store = world.kit.stores["file"]
    assert isinstance(store, FileStore)
    store.path(UUID(image_id)).unlink()


def break_by_a_loop(world: World, image_id: str) -> None:
    store = world.kit.stores["file"]
    assert isinstance(store, FileStore)
    path = store.path(UUID(image_id))
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("breakage", [break_by_removal, break_by_a_loop])
def test_i19_a_download_from_a_broken_store_names_no_place(
    world: World, caplog: pytest.LogCaptureFixture, breakage: object
) -> None:
    image_id = world.active()["id"]
    assert callable(breakage)
    breakage(world, image_id)
    caplog.set_level(logging.DEBUG)

    answer = world.alice.get(f"/v2/images/{image_id}/file")

    assert answer.status_code in (404, 503)
    assert no_place(world, answer.text) and no_place(world, told(caplog))


@pytest.mark.parametrize("path", ["file", "stage"])
def test_i19_an_upload_into_a_broken_store_names_no_place(
    world: World, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    image_id = world.create()["id"]
    arriving = world.kit.store.directory / "arriving"
    arriving.rename(arriving.with_name("gone"))
    caplog.set_level(logging.DEBUG)

    answer = world.alice.put(f"/v2/images/{image_id}/{path}", content=b"bytes", headers={"content-type": BYTES})
    arriving.with_name("gone").rename(arriving)

    assert 400 <= answer.status_code < 600 and answer.status_code != 500
    assert no_place(world, answer.text) and no_place(world, told(caplog))
    assert world.shown(image_id)["status"] == "queued"


def test_i19_a_task_that_met_a_broken_store_names_no_place(world: World, caplog: pytest.LogCaptureFixture) -> None:
    image_id = world.create()["id"]
    world.stage(image_id, b"bytes")
    world.kit.store.staged_path(UUID(image_id)).unlink()
    caplog.set_level(logging.DEBUG)

    image = world.imported(image_id)

    [task] = world.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
    assert (image["status"], task["status"]) == ("queued", "failure")
    assert no_place(world, task["message"]) and no_place(world, told(caplog))


def no_place(world: World, text: str) -> bool:
    return str(world.kit.store.directory) not in text and "file://" not in text


def told(caplog: pytest.LogCaptureFixture) -> str:
    """Every line with its facts and its trace."""
    plain = logging.Formatter()
    return "\n".join(f"{plain.format(one)} {one.__dict__}" for one in caplog.records)


def test_i15_a_crowd_of_imports_and_deletes_leaves_no_bytes(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, upload_patience_s=0.01, more_stores={"second": tmp_path / "second"}) as world:
        world.engine.start(alone=True)

        def one(number: int) -> None:
            image_id = world.create()["id"]
            world.stage(image_id, b"x" * 100_000)
            world.begin_import(image_id, all_stores=True)
            time.sleep(number % 5 / 50)  # deleted before, during and after its import
            world.alice.delete(f"/v2/images/{image_id}")

        crowd = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for member in crowd:
            member.start()
        for member in crowd:
            member.join()
        world.engine.stop()
        world.work()
        sweep(world.kit)

        left = [
            path
            for path in (*world.kit.store.directory.rglob("*"), *(tmp_path / "second").rglob("*"))
            if path.is_file()
        ]
        assert left == []
        assert world.alice.get("/v2/images").json()["images"] == []
        assert world.alice.get("/v2/info/usage").json()["usage"]["image_size_total"]["usage"] == 0
