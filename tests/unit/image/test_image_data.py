"""Bytes in and out."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from services.image.api import receiving
from services.image.drivers.inspect.inspector import Inspector
from services.image.drivers.store.files import Arrival
from services.image.drivers.store.store import broken
from tests.unit.image.world import BYTES, World, a_token, a_world


def test_uploaded_bytes_come_back_unchanged_and_their_hashes_are_right(world: World) -> None:
    data = os.urandom(3_500_000)
    image_id = world.create()["id"]

    answer = world.upload(image_id, data)

    assert (answer.status_code, answer.content) == (204, b"")
    image, download = world.shown(image_id), world.alice.get(f"/v2/images/{image_id}/file")
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", len(data), len(data))
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    assert download.content == data
    assert download.headers["content-type"] == BYTES
    assert download.headers["content-md5"] == image["checksum"]
    assert download.headers["content-length"] == str(len(data))


def test_bytes_may_come_in_chunks_of_any_size_without_a_length(world: World) -> None:
    pieces = [os.urandom(size) for size in (1, 70_000, 3_000_000, 17, 1 << 20)]
    image_id = world.create()["id"]

    answer = world.upload(image_id, iter(pieces))

    assert answer.status_code == 204
    assert world.alice.get(f"/v2/images/{image_id}/file").content == b"".join(pieces)


def test_kept_bytes_lie_under_the_image_s_id_and_are_read_only(world: World) -> None:
    image = world.active()

    path = world.kit.store.path(image["id"])

    assert world.files() == [image["id"]]
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_an_image_without_bytes_downloads_as_nothing(world: World) -> None:
    image_id = world.create()["id"]

    answer = world.alice.get(f"/v2/images/{image_id}/file")

    assert (answer.status_code, answer.content) == (204, b"")


def test_an_empty_upload_makes_an_active_image_of_no_bytes(world: World) -> None:
    image = world.active(b"")

    answer = world.alice.get(f"/v2/images/{image['id']}/file")

    assert (image["status"], image["size"]) == ("active", 0)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", (0, 9)),
        ("bytes=990-", (990, 999)),
        ("bytes=-10", (990, 999)),
        ("bytes=5-5", (5, 5)),
        ("bytes=900-5000", (900, 999)),
        ("bytes=-5000", (0, 999)),
    ],
)
def test_a_range_gives_that_part(world: World, asked: str, part: tuple[int, int]) -> None:
    data = os.urandom(1000)
    image = world.active(data)

    answer = world.alice.get(f"/v2/images/{image['id']}/file", headers={"range": asked})

    first, last = part
    assert answer.status_code == 206
    assert answer.content == data[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/1000"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=-0", "bytes=5000-6000"])
def test_a_range_outside_of_the_image_is_416(world: World, asked: str) -> None:
    image = world.active(os.urandom(1000))

    answer = world.alice.get(f"/v2/images/{image['id']}/file", headers={"range": asked})

    assert answer.status_code == 416


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=a-b", "nonsense"])
def test_a_range_that_means_nothing_gives_the_whole(world: World, asked: str) -> None:
    image = world.active(b"0123456789")

    answer = world.alice.get(f"/v2/images/{image['id']}/file", headers={"range": asked})

    assert (answer.status_code, answer.content) == (200, b"0123456789")


@pytest.mark.parametrize("media_type", ["application/json", "", "text/plain"])
def test_bytes_of_another_media_type_are_415_and_change_nothing(world: World, media_type: str) -> None:
    image_id = world.create()["id"]

    answer = world.upload(image_id, b"x", content_type=media_type)

    assert answer.status_code == 415
    assert world.shown(image_id)["status"] == "queued"


@pytest.mark.parametrize("missing", ["disk_format", "container_format"])
def test_bytes_are_taken_only_when_both_formats_are_known(world: World, missing: str) -> None:
    image_id = world.create(**{missing: None})["id"]

    answer = world.upload(image_id, b"x")

    assert answer.status_code == 400
    assert missing in answer.json()["message"]
    assert world.shown(image_id)["status"] == "queued"


def test_an_upload_that_breaks_off_leaves_the_image_queued_and_nothing_stored(world: World) -> None:
    image_id = world.create()["id"]

    def breaking() -> Iterator[bytes]:
        yield os.urandom(2_000_000)
        raise ConnectionError("gone")

    answer = world.upload(image_id, breaking())

    assert answer.status_code == 500
    assert world.shown(image_id)["status"] == "queued"
    assert world.files() == []
    assert world.upload(image_id, b"again").status_code == 204


def test_a_second_upload_while_the_first_runs_is_refused(world: World) -> None:
    image_id = world.create()["id"]
    seen: list[int] = []

    def interrupted() -> Iterator[bytes]:
        yield b"first"
        seen.append(world.upload(image_id, b"second").status_code)
        yield b" and last"

    answer = world.upload(image_id, interrupted())

    assert (answer.status_code, seen) == (204, [409])
    assert world.alice.get(f"/v2/images/{image_id}/file").content == b"first and last"


def test_delete_during_an_upload_leaves_nothing(world: World) -> None:
    image_id = world.create()["id"]
    deleted: list[int] = []

    def meanwhile() -> Iterator[bytes]:
        yield os.urandom(2_000_000)
        deleted.append(world.alice.delete(f"/v2/images/{image_id}").status_code)
        yield os.urandom(2_000_000)

    answer = world.upload(image_id, meanwhile())

    assert (answer.status_code, deleted) == (410, [204])
    assert world.files() == []
    assert world.alice.get(f"/v2/images/{image_id}").status_code == 404


@pytest.mark.parametrize("keeps", [True, False], ids=["its bytes are kept", "its bytes are refused"])
def test_an_upload_cancelled_while_its_bytes_become_an_image_leaves_all_or_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    """As when the process is told to end."""
    image_id = UUID(world.create(disk_format="raw" if keeps else "qcow2")["id"])
    caller = world.app.state.verifier.verify(a_token())
    receiver = receiving.begin(world.kit, image_id, caller, store="file")
    keeping, go_on, keep = threading.Event(), threading.Event(), receiving.Receiving._keep

    def slowly(self: receiving.Receiving, arrival: Arrival) -> None:
        keeping.set()
        assert go_on.wait(90)
        keep(self, arrival)

    monkeypatch.setattr(receiving.Receiving, "_keep", slowly)

    async def cancelled() -> None:
        uploading = asyncio.ensure_future(receiver.run(_one_piece(), None))
        await asyncio.to_thread(keeping.wait, 90)
        uploading.cancel()
        await asyncio.sleep(0)  # it knows
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await uploading

    asyncio.run(cancelled())

    assert world.shown(str(image_id))["status"] == ("active" if keeps else "queued")
    assert world.files() == ([str(image_id)] if keeps else [])


async def _one_piece() -> AsyncIterator[bytes]:
    yield b"some bytes"


def test_the_heaviest_store_is_named_and_read_first(tmp_path: Path, inspector: Inspector) -> None:
    more, weights = {"heavy": tmp_path / "heavy", "light": tmp_path / "light"}, {"heavy": 7, "file": 3}
    with a_world(tmp_path, inspector, more_stores=more, store_weights=weights) as world:
        image_id = world.create()["id"]
        world.stage(image_id, b"bytes")

        image = world.imported(image_id, all_stores=True)
        (tmp_path / "heavy" / image_id).unlink()

        assert image["stores"] == "heavy,file,light"
        assert world.alice.get(f"/v2/images/{image_id}/file").content == b"bytes"
        detail = world.admin.get("/v2/info/stores/detail").json()["stores"]
        assert {one["id"]: one["weight"] for one in detail} == {"heavy": 7, "file": 3, "light": 0}


def test_a_disk_that_fails_while_more_arrives_fails_the_upload_though_it_writes_again_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id, syncs, sync = world.create()["id"], list[int](), Arrival.sync

    def fail_once(arrival: Arrival) -> None:
        syncs.append(arrival.size)
        if len(syncs) == 1:
            raise broken("EIO")
        sync(arrival)

    monkeypatch.setattr(receiving, "SYNC_STEP_BYTES", receiving.BATCH_BYTES)
    monkeypatch.setattr(Arrival, "sync", fail_once)

    answer = world.upload(image_id, iter([bytes(receiving.BATCH_BYTES)] * 16))

    assert answer.status_code == 503
    assert world.shown(image_id)["status"] == "queued"
    assert world.files() == []
