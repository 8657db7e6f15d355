"""A store whose disk is full, for real: a small file system of its own.  What does not fit is told, and leaves nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.image.drivers.inspect.inspector import Inspector
from tests.conftest import missing
from tests.harness.clouds import run
from tests.unit.image.world import World, a_world

MIB = 1 << 20
ROOM = 8 * MIB
TOO_MUCH, FITTING = os.urandom(12 * MIB), os.urandom(3 * MIB)


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(TOO_MUCH)))
        self.end_headers()
        self.wfile.write(TOO_MUCH)

    def log_message(self, format: str, *args: Any) -> None:
        """Not in the tests' output."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        missing("the right to mount a file system")
    store = tmp_path / "store"
    store.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(store))
    try:
        yield store
    finally:
        run("umount", "--lazy", str(store))


@pytest.fixture
def site() -> Iterator[int]:
    """Gives more than fits; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def full(tmp_path: Path, small_disk: Path, inspector: Inspector, site: int) -> Iterator[World]:
    """Its store is on the small disk."""
    far: dict[str, Any] = {"web_download_ports": [site], "web_download_networks": ["127.0.0.0/8"]}
    with a_world(tmp_path, inspector, convert_imports_to="raw", **far) as made:
        yield made


def is_as_before(world: World, image_id: str) -> bool:
    """The image waits for bytes, none are left, and what fits is taken."""
    return (
        (world.shown(image_id)["status"], world.files()) == ("queued", [])
        and world.upload(image_id, FITTING).status_code == 204
        and world.shown(image_id)["status"] == "active"
    )


@pytest.mark.parametrize("how", ["file", "stage"])
@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in chunks"])
def test_bytes_that_do_not_fit_are_refused(full: World, how: str, declared: bool) -> None:
    image_id = full.create()["id"]
    pieces = TOO_MUCH if declared else (TOO_MUCH[at : at + MIB] for at in range(0, len(TOO_MUCH), MIB))

    answer = (full.upload if how == "file" else full.stage)(image_id, pieces)

    assert (answer.status_code, "storage media is full" in answer.json()["message"]) == (413, True)
    assert str(full.kit.store.directory) not in answer.text
    assert is_as_before(full, image_id)


def test_an_upload_in_ranges_ends_with_the_one_that_does_not_fit(full: World) -> None:
    image_id, half = full.create()["id"], len(TOO_MUCH) // 2

    first = full.upload(image_id, TOO_MUCH[:half], content_range=f"bytes 0-{half - 1}/{len(TOO_MUCH)}")
    second = full.upload(image_id, TOO_MUCH[half:], content_range=f"bytes {half}-{len(TOO_MUCH) - 1}/{len(TOO_MUCH)}")

    assert (first.status_code, second.status_code) == (202, 413)
    assert is_as_before(full, image_id)


def test_a_download_that_does_not_fit_fails_and_says_so(full: World, site: int) -> None:
    image_id = full.create()["id"]

    image = full.imported(image_id, "web-download", uri=f"http://127.0.0.1:{site}/image")
    [task] = full.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]

    assert (image["status"], task["status"]) == ("queued", "failure")
    assert "storage media is full" in task["message"]
    assert is_as_before(full, image_id)


def test_a_conversion_that_does_not_fit_fails_and_says_so(full: World, tmp_path: Path) -> None:
    raw, disk = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    raw.write_bytes(b"all alike, so that it takes little room " * (len(TOO_MUCH) // 40 + 1))
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(disk))
    image_id = full.create(disk_format="qcow2")["id"]
    assert full.stage(image_id, disk.read_bytes()).status_code == 204

    image = full.imported(image_id)
    [task] = full.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]

    assert (image["status"], task["status"]) == ("queued", "failure")
    assert "storage media is full" in task["message"]
    assert full.files() == []
