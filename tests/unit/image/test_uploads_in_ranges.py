"""Uploads in ranges, an addition of ours: what broke off goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from common.clock import utc_now
from services.image.api.receiving import sweep
from services.image.db.tables import ImageRow
from services.image.drivers.inspect.inspector import Inspector
from services.image.drivers.store.paused import Paused
from tests.harness.waiting import until
from tests.unit.image.world import BYTES, World, a_token, a_world, served

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)


def send(
    world: World, image_id: str, first: int, end: int, *, data: object = None, total: int = len(DATA)
) -> httpx.Response:
    """Bytes `first` up to `end`."""
    headers = {"content-type": BYTES, "content-range": f"bytes {first}-{end - 1}/{total}"}
    content = DATA[first:end] if data is None else data
    return world.alice.put(f"/v2/images/{image_id}/file", content=content, headers=headers)  # type: ignore[arg-type]


def held(world: World, image_id: str) -> int:
    answer = world.alice.head(f"/v2/images/{image_id}/file")
    assert answer.status_code == 204
    return int(answer.headers["upload-offset"])


def is_right(world: World, image_id: str) -> bool:
    image = world.shown(image_id)
    hashes = (image["os_hash_value"], image["checksum"]) == (
        hashlib.sha512(DATA).hexdigest(),
        hashlib.md5(DATA).hexdigest(),
    )
    return hashes and image["status"] == "active" and world.alice.get(f"/v2/images/{image_id}/file").content == DATA


@pytest.mark.parametrize("by", ["one process", "several processes"])
def test_ranges_one_after_the_other_make_the_image(world: World, by: str) -> None:
    image_id = world.create()["id"]
    ends = (MIB, MIB + 1, 2 * MIB, len(DATA))
    answers = []

    for first, end in zip((0, *ends), ends, strict=False):
        answers.append(send(world, image_id, first, end))
        if by == "several processes":  # this one has not hashed what came before
            world.kit.paused.drop_all_but([])

    assert [one.status_code for one in answers] == [202, 202, 202, 204]
    assert [one.headers.get("upload-offset") for one in answers[:3]] == [str(end) for end in ends[:3]]
    assert is_right(world, image_id)
    assert world.files() == [image_id]


def test_what_broke_off_in_the_middle_goes_on_where_it_stopped(world: World) -> None:
    image_id = world.create()["id"]
    head = (
        f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {a_token()}\r\nContent-Type: {BYTES}\r\n"
        f"Content-Range: bytes 0-{len(DATA) - 1}/{len(DATA)}\r\nContent-Length: {len(DATA)}\r\n\r\n"
    )

    with served(world) as address, socket.create_connection(address) as connection:
        connection.sendall(head.encode() + DATA[: 2 * MIB + 5])
        until(lambda: held(world, image_id) >= MIB, what="the bytes that came")
        status = world.shown(image_id)["status"]
        connection.close()
        until(lambda: send(world, image_id, held(world, image_id), len(DATA)).status_code == 204, what="the end")

    assert status == "saving"
    assert is_right(world, image_id)


def test_one_range_may_be_the_whole(world: World) -> None:
    image_id = world.create()["id"]

    assert send(world, image_id, 0, len(DATA)).status_code == 204
    assert is_right(world, image_id)


@pytest.mark.parametrize("first", [0, MIB - 1, MIB + 1])
def test_a_range_must_begin_where_the_bytes_end(world: World, first: int) -> None:
    image_id = world.create()["id"]
    send(world, image_id, 0, MIB)

    answer = send(world, image_id, first, first + MIB)

    assert answer.status_code == 416
    assert f"There are {MIB} bytes" in answer.json()["message"]
    assert send(world, image_id, MIB, len(DATA)).status_code == 204
    assert is_right(world, image_id)


def test_an_upload_begins_at_its_beginning(world: World) -> None:
    image_id = world.create()["id"]

    assert send(world, image_id, 5, 10).status_code == 416
    assert world.shown(image_id)["status"] == "queued"


@pytest.mark.parametrize(
    "named", ["bytes 0-9/*", "bytes 9-0/20", "bytes 0-20/20", "pages 0-1/2", "bytes */20", "bytes -1-2/3", ""]
)
def test_nonsense_is_refused_before_anything_is_reserved(world: World, named: str) -> None:
    image_id = world.create()["id"]

    answer = world.upload(image_id, b"0123456789", content_range=named)

    assert answer.status_code == 400
    assert world.shown(image_id)["status"] == "queued"


def test_a_body_of_another_length_is_refused(world: World) -> None:
    image_id = world.create()["id"]

    told = send(world, image_id, 0, 10, data=b"far too many bytes")
    send(world, image_id, 0, 10)
    untold = send(world, image_id, 10, 20, data=iter([b"far too many bytes"]))

    assert (told.status_code, untold.status_code) == (400, 400)
    assert held(world, image_id) == 10


def test_the_total_stays_what_it_was(world: World) -> None:
    image_id = world.create()["id"]
    send(world, image_id, 0, MIB)

    assert send(world, image_id, MIB, 2 * MIB, total=5 * MIB).status_code == 409
    assert world.upload(image_id, DATA).status_code == 409


def test_an_ordinary_upload_takes_no_ranges(world: World) -> None:
    image_id = world.create()["id"]
    answers: list[int] = []

    def slow() -> Iterator[bytes]:
        yield DATA[:MIB]
        answers.append(send(world, image_id, MIB, 2 * MIB).status_code)
        yield DATA[MIB:]

    assert world.upload(image_id, slow()).status_code == 204
    assert answers == [409]


def test_of_two_ranges_at_once_one_waits(world: World) -> None:
    image_id = world.create()["id"]
    answers: list[int] = []

    def slow() -> Iterator[bytes]:
        yield DATA[:MIB]
        answers.append(send(world, image_id, 0, MIB).status_code)
        yield DATA[MIB:]

    assert send(world, image_id, 0, len(DATA), data=slow()).status_code == 204
    assert answers == [409]


def test_the_quota_holds_the_total_from_the_beginning(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, project_quota_bytes=4 * MIB) as world:
        first, second = world.create()["id"], world.create()["id"]
        send(world, first, 0, 10)

        refused = send(world, second, 0, 10)

        assert refused.status_code == 413
        assert world.shown(second)["status"] == "queued"
        assert world.files() == [one for one in world.files() if one.startswith("arriving/")] != []
        world.alice.delete(f"/v2/images/{first}")
        assert send(world, second, 0, 10).status_code == 202


def test_deleting_the_image_leaves_nothing(world: World) -> None:
    image_id = world.create()["id"]
    send(world, image_id, 0, MIB)

    assert world.alice.delete(f"/v2/images/{image_id}").status_code == 204
    assert world.files() == []


def test_bytes_that_are_refused_are_gone_and_the_image_waits_for_others(world: World) -> None:
    image_id = world.create()["id"]
    bad = b"QFI\xfb" + bytes(508)

    world.upload(image_id, bad[:256], content_range="bytes 0-255/512")
    refused = world.upload(image_id, bad[256:], content_range="bytes 256-511/512")

    assert (refused.status_code, world.files()) == (415, [])
    assert world.shown(image_id)["status"] == "queued"
    assert world.upload(image_id, DATA).status_code == 204


def test_an_upload_that_nobody_takes_up_again_is_given_up_later_than_an_ordinary_one(
    tmp_path: Path, inspector: Inspector
) -> None:
    with a_world(tmp_path, inspector, upload_patience_s=0.001, resume_patience_s=3600) as world:
        image_id = world.create()["id"]
        send(world, image_id, 0, MIB)

        sweep(world.kit)
        waiting = (world.shown(image_id)["status"], held(world, image_id))
        with world.kit.database.transaction() as session:
            session.execute(update(ImageRow).values(upload_seen_at=utc_now() - timedelta(seconds=3601)))
        sweep(world.kit)

        assert waiting == ("saving", MIB)
        assert (world.shown(image_id)["status"], world.files(), world.kit.paused.ids()) == ("queued", [], [])


def test_only_so_many_files_stay_open_between_ranges(world: World) -> None:
    for _ in range(40):
        send(world, world.create()["id"], 0, 10)

    assert len(world.kit.paused.ids()) == 32
    assert isinstance(world.kit.paused, Paused)


def test_a_stranger_neither_sends_nor_looks(world: World) -> None:
    image_id = world.create(visibility="private")["id"]
    send(world, image_id, 0, MIB)
    headers = {"content-type": BYTES, "content-range": f"bytes {MIB}-{2 * MIB - 1}/{len(DATA)}"}

    sent = world.bob.put(f"/v2/images/{image_id}/file", content=DATA[MIB : 2 * MIB], headers=headers)

    assert (sent.status_code, world.bob.head(f"/v2/images/{image_id}/file").status_code) == (404, 404)


def test_the_head_of_an_image_tells_its_size_and_no_bytes(world: World) -> None:
    image = world.active(DATA)

    answer = world.alice.head(f"/v2/images/{image['id']}/file")

    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(len(DATA)), b"")
    assert answer.headers["content-md5"] == image["checksum"]
