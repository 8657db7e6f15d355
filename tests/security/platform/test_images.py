"""I1-I7, I13-I16, I21: harmful images on their way through the public address, and from there to a host."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.clouds import Cloud, run
from tests.harness.files import files_below
from tests.harness.waiting import until
from tests.security.image.crafted import a_qcow2, a_sparse_vmdk, a_vmdk_descriptor
from tests.security.platform.people import BYTES, PATCH, Person, storage_of

IMAGES, SERVERS = "/image/v2/images", "/compute/v2.1/servers"
EIB, GIB, MIB = 1 << 60, 1 << 30, 1 << 20
CLUSTER = 65536


def files_of(cloud: Cloud) -> set[Path]:
    """Whole or arriving: every file that holds an image's bytes, in the store and in hosts' caches."""
    folders = [cloud.data / "images", storage_of(cloud)]
    return {path for path in files_below(*folders) if "locks" not in path.parts}


REFUSED = {
    "i1 backing file": ("qcow2", a_qcow2(backing=b"/etc/passwd"), "backing"),
    "i1 backing file in json": ("qcow2", a_qcow2(backing=b'json:{"driver":"file","filename":"/etc/passwd"}'), "backing"),
    "i1 backing file on the net": ("qcow2", a_qcow2(backing=b"nbd://127.0.0.1:10809/x"), "backing"),
    "i2 data file by its bit": ("qcow2", a_qcow2(incompatible=4), "data"),
    "i2 data file by extension": ("qcow2", a_qcow2(incompatible=4, extensions=((0x44415441, b"/etc/shadow"),)), "data"),
    "i3 extents elsewhere": ("vmdk", a_vmdk_descriptor("monolithicFlat", 'RW 20480 FLAT "/etc/hosts" 0'), ""),
    "i3 extents elsewhere inside": ("vmdk", a_sparse_vmdk(a_vmdk_descriptor("monolithicSparse", 'RW 1 FLAT "/etc/hosts" 0')), ""),
    "i4 qcow2 said to be raw": ("raw", a_qcow2(), "qcow2"),
    "i4 vmdk said to be qcow2": ("qcow2", a_sparse_vmdk(), ""),
    "i7 endless table": ("qcow2", a_qcow2(l1_entries=1 << 30, virtual_size=EIB), ""),
    "i7 odd clusters": ("qcow2", a_qcow2(cluster_bits=60), ""),
    "i7 odd counts": ("qcow2", a_qcow2(refcount_order=63), ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_harmful_image_is_refused_at_the_door_and_boots_nowhere(simulated: Cloud, bob: Person, kind: str) -> None:
    disk_format, data, reason = REFUSED[kind]
    before = files_of(simulated)

    image, uploaded = bob.image(data, disk_format=disk_format)
    shown = bob.ask("GET", f"{IMAGES}/{image['id']}").json()
    downloaded = bob.ask("GET", f"{IMAGES}/{image['id']}/file")
    booted = bob.ask("POST", SERVERS, json=bob.order(imageRef=image["id"]))

    assert 400 <= uploaded.status_code < 500 and reason in uploaded.text.lower()
    assert shown["status"] == "queued" and shown["size"] is None
    assert downloaded.status_code in (204, 404) and not downloaded.content.startswith(data[:4])
    assert booted.status_code == 400
    assert files_of(simulated) <= before  # other tests' may still go


def test_i4_a_raw_image_whose_guest_reads_qcow2_stays_raw(simulated: Cloud, bob: Person) -> None:
    """The header may come later than the image: what is recorded counts, and nothing ever looks again."""
    image, uploaded = bob.image(bytes(MIB), disk_format="raw")

    changed = bob.ask(
        "PATCH",
        f"{IMAGES}/{image['id']}",
        json=[{"op": "replace", "path": "/disk_format", "value": "qcow2"}],
        headers={"content-type": PATCH},
    )

    assert uploaded.status_code == 204
    assert changed.status_code == 403
    assert bob.ask("GET", f"{IMAGES}/{image['id']}").json()["disk_format"] == "raw"


@pytest.mark.parametrize("virtual_size", [8 * EIB - 512, EIB, 1 << 50, 101 * GIB])
def test_i6_a_small_file_that_unfolds_is_refused_before_a_host_writes(
    simulated: Cloud, bob: Person, virtual_size: int
) -> None:
    entries = min(1 << 22, -(-virtual_size // (CLUSTER * CLUSTER // 8)))
    image, uploaded = bob.image(a_qcow2(virtual_size=virtual_size, l1_entries=entries)[:CLUSTER])
    before = files_of(simulated)

    booted = bob.ask("POST", SERVERS, json=bob.order(imageRef=image["id"]))

    assert booted.status_code == 400
    assert "too small for requested image" in booted.text or 400 <= uploaded.status_code < 500
    assert files_of(simulated) <= before
    until(lambda: bob.ask("GET", SERVERS).json()["servers"] == [], what="the end of what other tests had")


def test_i6_a_compressed_bomb_takes_no_more_of_the_disk_than_it_was_sent(
    simulated: Cloud, bob: Person, tmp_path: Path
) -> None:
    bomb = tmp_path / "bomb.qcow2"
    run("qemu-img", "create", "-q", "-f", "raw", str(tmp_path / "zeros.raw"), "512M")
    os.truncate(tmp_path / "zeros.raw", 512 * MIB)
    with (tmp_path / "zeros.raw").open("r+b") as file:
        for at in range(0, 512 * MIB, 16 * MIB):
            file.seek(at)
            file.write(b"\xaa" * CLUSTER * 4)
    run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(tmp_path / "zeros.raw"), str(bomb))
    before = files_of(simulated)

    image, uploaded = bob.image(bomb.read_bytes())
    server = bob.boot(imageRef=image["id"])

    assert uploaded.status_code == 204 and server["status"] == "ACTIVE"
    written = files_of(simulated) - before
    assert written
    assert max(path.stat().st_blocks * 512 for path in written) <= bomb.stat().st_size + CLUSTER
    bob.ask("DELETE", f"{SERVERS}/{server['id']}")


def test_i7_inspections_do_not_slow_the_api_down(bob: Person) -> None:
    worst = a_qcow2(l1_entries=1 << 25, virtual_size=EIB) + bytes(8 * MIB)
    over = threading.Event()

    def keep_uploading() -> None:
        while not over.is_set():
            bob.image(worst)

    with ThreadPoolExecutor(4) as threads:
        uploads = [threads.submit(keep_uploading) for _ in range(3)]
        try:
            usual = sorted(_seconds(bob) for _ in range(40))[20]
        finally:
            over.set()
        for one in uploads:
            one.result()

    assert usual < 3


def _seconds(person: Person) -> float:
    started = time.monotonic()
    assert person.ask("GET", IMAGES, params={"limit": "1"}).status_code == 200
    return time.monotonic() - started


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "filesystem://../../etc/x", "rbd://a/b/c/d", "http://127.0.0.1:1/$(id)", "../../x"]
)
def test_i13_nobody_says_where_bytes_are(bob: Person, place: str) -> None:
    image = bob.made(IMAGES, {"name": "i", "disk_format": "raw", "container_format": "bare"})
    patch = [{"op": "add", "path": "/locations/-", "value": {"url": place, "metadata": {}}}]
    tried: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", IMAGES, {"json": {"name": "i", "locations": [{"url": place, "metadata": {}}]}}),
        ("PATCH", f"{IMAGES}/{image['id']}", {"json": patch, "headers": {"content-type": PATCH}}),
        ("POST", f"{IMAGES}/{image['id']}/locations", {"json": {"url": place}}),
        ("POST", f"{IMAGES}/{image['id']}/import", {"json": {"method": {"name": "web-download", "uri": place}}}),
    ]

    answers = [bob.ask(method, path, **given) for method, path, given in tried]

    assert all(one.status_code in (400, 403, 404, 405) for one in answers), answers
    assert place not in bob.ask("GET", f"{IMAGES}/{image['id']}").text


def test_i14_a_server_does_not_start_from_bytes_that_were_changed_in_the_store(simulated: Cloud, bob: Person) -> None:
    image, _ = bob.image(os.urandom(MIB), disk_format="raw")
    stored = simulated.data / "images" / image["id"]
    stored.chmod(0o600)
    stored.write_bytes(os.urandom(MIB))

    server = bob.boot(imageRef=image["id"])

    assert server["status"] == "ERROR"
    assert str(simulated.data) not in server["fault"]["message"]
    recorded = bob.ask("GET", f"{IMAGES}/{image['id']}").json()["os_hash_value"]
    assert recorded and not (storage_of(simulated) / "images" / recorded).exists()
    bob.ask("DELETE", f"{SERVERS}/{server['id']}")


def test_i15_an_image_deleted_while_it_arrives_leaves_nothing(simulated: Cloud, bob: Person) -> None:
    before = files_of(simulated)
    image = bob.made(IMAGES, {"name": "i", "disk_format": "raw", "container_format": "bare"})
    started, gone = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield bytes(4 * MIB)
        started.set()
        gone.wait(60)
        yield bytes(4 * MIB)

    with ThreadPoolExecutor(1) as threads, httpx.Client(base_url=simulated.url, timeout=60) as other:
        headers = {"x-auth-token": bob.token, "content-type": BYTES}
        upload = threads.submit(other.put, f"{IMAGES}/{image['id']}/file", content=slow(), headers=headers)
        assert started.wait(60)
        deleted = bob.ask("DELETE", f"{IMAGES}/{image['id']}")
        gone.set()
        answer = upload.result()

    assert deleted.status_code in (204, 409)
    assert answer.status_code in (404, 409, 410) if deleted.status_code == 204 else answer.status_code == 204
    bob.ask("DELETE", f"{IMAGES}/{image['id']}")
    until(lambda: files_of(simulated) <= before, what="the bytes' end")


def test_i16_no_header_makes_an_upload_longer_than_it_says(simulated: Cloud, bob: Person) -> None:
    """Lengths that disagree are refused or cut at the edge; the image never holds what nobody declared."""
    before = files_of(simulated)
    image = bob.made(IMAGES, {"name": "i", "disk_format": "raw", "container_format": "bare"})
    path = f"{IMAGES}/{image['id']}/file"

    claimed = bob.ask(
        "PUT",
        path,
        content=b"x" * 1000,
        headers={"content-type": BYTES, "x-image-meta-size": "1", "x-openstack-image-size": "1"},
    )

    shown = bob.ask("GET", f"{IMAGES}/{image['id']}").json()
    assert claimed.status_code in (204, 400) and shown["size"] in (1000, None)
    bob.ask("DELETE", f"{IMAGES}/{image['id']}")
    until(lambda: files_of(simulated) <= before, what="the bytes' end")


NAMES = ["../../etc/x", "a\nb", "é" * 255, "-o", "$(id)", "%n", '"/><devices>', "/dev/sda", "a\x7fb"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_i21_a_name_is_data_and_the_file_has_our_id(simulated: Cloud, bob: Person, name: str) -> None:
    before = files_of(simulated)
    made = bob.ask("POST", IMAGES, json={"name": name, "disk_format": "raw", "container_format": "bare"})
    if made.status_code == 400:
        return
    image = made.json()

    bob.ask("PUT", f"{IMAGES}/{image['id']}/file", content=bytes(512), headers={"content-type": BYTES})

    assert image["name"] == name
    assert files_of(simulated) - before == {simulated.data / "images" / image["id"]}
    bob.ask("DELETE", f"{IMAGES}/{image['id']}")


@pytest.mark.parametrize("name", ["x" * 256, "x" * 1_000_000, "a\0b"], ids=["256", "1 MB", "NUL"])
def test_i21_what_is_no_name_is_refused(bob: Person, name: str) -> None:
    assert bob.ask("POST", IMAGES, json={"name": name}).status_code == 400


@pytest.mark.parametrize("image_id", ["../../../etc/passwd", "..%2f..%2fpileus.toml", "/etc/passwd", "f0" * 16, "-o"])
def test_i21_an_id_of_one_s_own_is_a_uuid_or_refused(simulated: Cloud, bob: Person, image_id: str) -> None:
    before = files_of(simulated)

    made = bob.ask("POST", IMAGES, json={"id": image_id, "name": "i", "disk_format": "raw", "container_format": "bare"})

    assert made.status_code == 400 or len(image_id) == 32
    assert files_of(simulated) <= before  # other tests' may still go
