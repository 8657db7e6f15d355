"""I13-I16, I21: uploads and names used against the store."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from common.db.types import utc_now
from services.image.api.receiving import begin, sweep
from services.image.drivers.inspect.inspector import Inspector
from tests.harness.waiting import until
from tests.unit.image.world import ALICE, BYTES, World, a_token, a_world, served

MIB = 1 << 20


def pieces(count: int, size: int = MIB) -> Iterator[bytes]:
    return (os.urandom(size) for _ in range(count))


@pytest.mark.parametrize(
    "place",
    ["file:///etc/passwd", "filesystem:///etc/passwd", "rbd://a/b/c", "../../etc/x", "http://127.0.0.1/x", "a;id"],
)
def test_i13_nobody_says_where_an_image_s_bytes_are(world: World, place: str) -> None:
    image = world.active()
    location = {"url": place, "metadata": {}}

    attempts = [
        world.admin.post("/v2/images", json={"locations": [location]}),
        world.admin.post("/v2/images", json={"location": place}),
        world.admin.post("/v2/images", json={"direct_url": place}),
        world.patch(image["id"], {"op": "add", "path": "/locations/-", "value": location}, person=world.admin),
        world.patch(image["id"], {"op": "replace", "path": "/locations", "value": [location]}, person=world.admin),
        world.patch(image["id"], {"op": "add", "path": "/direct_url", "value": place}, person=world.admin),
    ]

    assert [answer.status_code for answer in attempts] == [403] * 6
    assert world.shown(image["id"]) == image


def test_i14_an_active_image_keeps_its_bytes_and_its_status(world: World) -> None:
    image = world.active(b"the true bytes")

    uploaded = world.upload(image["id"], b"other bytes")
    by_header = world.upload(image["id"], b"other bytes", x_image_meta_status="queued", x_glance_status="queued")
    patched = world.patch(image["id"], {"op": "replace", "path": "/status", "value": "queued"}, person=world.admin)
    emptied = world.patch(image["id"], {"op": "remove", "path": "/locations/0"}, person=world.admin)

    assert [uploaded.status_code, by_header.status_code, patched.status_code, emptied.status_code] == [
        409,
        409,
        403,
        403,
    ]
    assert "active to saving" in uploaded.json()["message"]
    assert world.alice.get(f"/v2/images/{image['id']}/file").content == b"the true bytes"


def test_i15_bytes_in_flight_count_towards_the_quota(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, project_quota_bytes=5 * MIB) as world:
        first, second = world.create()["id"], world.create()["id"]
        meanwhile: list[int] = []

        def slow() -> Iterator[bytes]:
            yield from pieces(3)
            meanwhile.append(world.upload(second, pieces(3)).status_code)
            meanwhile.append(world.upload(second, os.urandom(3 * MIB)).status_code)
            meanwhile.append(world.upload(second, os.urandom(2 * MIB)).status_code)

        answer = world.upload(first, slow(), content_length=str(3 * MIB))

        assert (answer.status_code, meanwhile) == (204, [413, 413, 204])
        assert world.upload(world.create()["id"], b"one more").status_code == 413
        world.alice.delete(f"/v2/images/{first}")
        assert world.upload(world.create()["id"], pieces(3)).status_code == 204


def test_i15_parallel_claims_never_pass_the_quota(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, project_quota_bytes=10_000, upload_threads=8) as world:
        ids = [world.create()["id"] for _ in range(20)]
        statuses: list[int] = []

        def upload(image_id: str) -> None:
            statuses.append(world.upload(image_id, os.urandom(1000)).status_code)

        threads = [threading.Thread(target=upload, args=(image_id,)) for image_id in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(statuses) == [204] * 10 + [413] * 10
        assert len(world.files()) == 10


def test_i15_a_token_that_expires_during_an_upload_does_not_lose_or_leak_bytes(world: World) -> None:
    image_id = world.create()["id"]

    def slow() -> Iterator[bytes]:
        yield b"first "
        world.app.state.verifier._keys = {}  # nobody would take the token any more
        yield b"last"

    answer = world.upload(image_id, slow())

    assert answer.status_code == 204
    assert world.files() == [image_id]


def test_i15_create_upload_delete_in_a_crowd_leaves_no_bytes(world: World) -> None:
    def one() -> None:
        image_id = world.create()["id"]
        deleter = threading.Thread(target=lambda: world.alice.delete(f"/v2/images/{image_id}"))
        uploader = threading.Thread(target=lambda: world.upload(image_id, pieces(3)))
        uploader.start()
        deleter.start()
        uploader.join()
        deleter.join()
        world.alice.delete(f"/v2/images/{image_id}")

    crowd = [threading.Thread(target=one) for _ in range(8)]
    for member in crowd:
        member.start()
    for member in crowd:
        member.join()

    assert world.files() == []
    assert world.alice.get("/v2/images").json()["images"] == []


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in chunks"])
def test_i16_an_upload_stops_at_the_cap_and_its_bytes_are_freed(
    tmp_path: Path, inspector: Inspector, declared: bool
) -> None:
    with a_world(tmp_path, inspector, max_image_bytes=4 * MIB) as world:
        image_id, taken = world.create()["id"], []

        def counted() -> Iterator[bytes]:
            for piece in pieces(64):
                taken.append(len(piece))
                yield piece

        length = str(64 * MIB) if declared else None
        answer = world.upload(image_id, counted(), content_length=length)

        assert answer.status_code == 413
        assert sum(taken) <= (0 if declared else 5 * MIB)
        assert world.files() == []
        assert world.shown(image_id)["status"] == "queued"
        assert world.upload(image_id, os.urandom(4 * MIB)).status_code == 204


def test_a_full_disk_is_told_plainly_and_leaves_nothing(world: World) -> None:
    image_id = world.create()["id"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, before[1]))  # the kernel refuses to let a file grow further
    try:
        answer = world.upload(image_id, pieces(8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert answer.status_code == 413
    assert "full" in answer.json()["message"]
    assert str(world.kit.store.directory) not in answer.text
    assert (world.shown(image_id)["status"], world.files()) == ("queued", [])
    assert world.upload(image_id, pieces(8)).status_code == 204


@pytest.mark.parametrize("transfer", ["Content-Length: 8000000", "Transfer-Encoding: chunked"])
def test_i15_a_client_that_goes_away_leaves_the_image_queued_and_nothing_stored(world: World, transfer: str) -> None:
    image_id = world.create()["id"]
    head = (
        f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {a_token(ALICE)}\r\n"
        f"Content-Type: {BYTES}\r\n{transfer}\r\n\r\n"
    )
    some = os.urandom(2 * MIB)

    with served(world) as address:
        with socket.create_connection(address) as connection:
            chunk = b"%x\r\n" % len(some) + some + b"\r\n" if "chunked" in transfer else some
            connection.sendall(head.encode() + chunk)
            until(lambda: world.shown(image_id)["status"] == "saving", what="the upload's beginning")
        until(lambda: world.shown(image_id)["status"] == "queued", what="the image's return")
        until(lambda: world.files() == [], what="the removal of its bytes")

        assert world.upload(image_id, b"again").status_code == 204


def test_what_a_killed_process_left_is_swept_and_the_living_is_not(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, upload_patience_s=0.2) as world:
        kept = world.active()["id"]
        abandoned = world.create()["id"]
        receiving = begin(world.kit, UUID(abandoned), world.app.state.verifier.verify(a_token(ALICE)), store="file")
        arrival = world.kit.store.arrival(receiving.upload_id)
        arrival.write(b"left behind")
        arrival.close()
        (world.kit.store.directory / str(uuid4())).write_bytes(b"an image without a row")
        stray = world.kit.store.arrival(uuid4())
        stray.close()
        (world.kit.store.directory / "notes.txt").write_text("not ours")
        begun = time.monotonic()

        until(lambda: time.monotonic() - begun > 0.4, what="the end of patience")
        sweep(world.kit)

        assert world.files() == sorted([kept, "notes.txt"])
        assert world.shown(abandoned)["status"] == "queued"
        assert world.upload(abandoned, b"again").status_code == 204
        assert world.shown(kept)["status"] == "active"


def test_the_sweep_spares_an_upload_that_goes_on(world: World) -> None:
    image_id = world.create()["id"]

    def slow() -> Iterator[bytes]:
        yield from pieces(2)
        sweep(world.kit)
        yield from pieces(2)

    assert world.upload(image_id, slow()).status_code == 204
    assert world.shown(image_id)["size"] == 4 * MIB


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/x",
        "a\nb\r\nX-Evil: 1",
        "-o",
        "$(id)",
        "{{7*7}}",
        "%n%s",
        '"/><devices>',
        "\u202egpj",
        "😀",
        "'; DROP TABLE images; --",
    ],
)
def test_i21_c15_names_are_data_and_nothing_else(world: World, name: str) -> None:
    given: dict[str, Any] = {"name": name, "tags": [name], name: name}
    image = world.active(b"x", **given)

    listed = world.alice.get("/v2/images", params={"name": name, "tag": name, name: name}).json()["images"]

    assert (image["name"], image["tags"], image[name]) == (name, [name], name)
    assert [one["id"] for one in listed] == [image["id"]]
    assert world.files() == [image["id"]]


def test_i15_an_upload_reports_that_it_lives(world: World) -> None:
    image_id = world.create()["id"]
    receiving = begin(world.kit, UUID(image_id), world.app.state.verifier.verify(a_token(ALICE)), store="file")
    began = utc_now()

    receiving._claim_now(5)

    with world.kit.database.reading() as session:
        seen, claimed = session.execute(text("SELECT upload_seen_at, claimed_bytes FROM images")).one()
    assert claimed == 5
    assert str(seen) >= began.strftime("%Y-%m-%d %H:%M:%S")
