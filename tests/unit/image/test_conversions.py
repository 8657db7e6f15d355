"""Conversion at import: what users upload in any format becomes what hosts use, and everything said of it stays true."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import TooLarge, Unavailable
from services.image.drivers.convert.conversions import ConversionFailed, Converter
from services.image.drivers.inspect.inspector import Inspector
from tests.harness.clouds import run
from tests.harness.waiting import until
from tests.security.image.crafted import a_layout, a_qcow2, a_sparse_vmdk, a_vdi, an_iso
from tests.unit.image.world import World, a_world

MIB = 1 << 20
SIZE = 8 * MIB
PATTERN = bytes(range(256)) * 256  # 64 KiB


@pytest.fixture
def to_qcow2(tmp_path: Path, inspector: Inspector) -> Iterator[World]:
    with a_world(tmp_path, inspector, convert_imports_to="qcow2", max_image_bytes=64 * MIB) as made:
        yield made


@pytest.fixture
def to_raw(tmp_path: Path, inspector: Inspector) -> Iterator[World]:
    with a_world(tmp_path, inspector, convert_imports_to="raw", max_image_bytes=64 * MIB) as made:
        yield made


def a_disk(directory: Path, made_as: str, *options: str) -> bytes:
    """A disk of 8 MiB with a pattern in its middle, in one of QEMU's formats."""
    raw, disk = directory / "disk.raw", directory / "disk"
    raw.write_bytes(bytes(4 * MIB) + PATTERN + bytes(4 * MIB - len(PATTERN)))
    run("qemu-img", "convert", "-f", "raw", "-O", made_as, *options, str(raw), str(disk))
    return disk.read_bytes()


def bytes_of(world: World, image_id: str, disk_format: str, directory: Path) -> bytes:
    """What a guest would read of the downloaded image."""
    disk, raw = directory / "downloaded", directory / "as-raw"
    disk.write_bytes(world.alice.get(f"/v2/images/{image_id}/file").content)
    run("qemu-img", "convert", "-f", disk_format, "-O", "raw", str(disk), str(raw))
    return raw.read_bytes()


def imported(world: World, data: bytes, **given: Any) -> dict[str, Any]:
    image_id = world.create(**given)["id"]
    assert world.stage(image_id, data).status_code == 204
    return world.imported(image_id)


def the_task(world: World, image: dict[str, Any]) -> dict[str, Any]:
    [task] = world.alice.get(f"/v2/images/{image['id']}/tasks").json()["tasks"]
    found: dict[str, Any] = task
    return found


FORMATS = [
    ("qcow2", "qcow2", ()),
    ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")),
    ("vdi", "vdi", ()),
    ("vhd", "vpc", ("-o", "force_size=on")),
    ("vhdx", "vhdx", ()),
    ("raw", "raw", ()),
]


@pytest.mark.parametrize(
    ("target", "disk_format", "made_as", "options"),
    [*(("qcow2", *one) for one in FORMATS), *(("raw", *one) for one in FORMATS[:2])],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_an_imported_disk_becomes_what_hosts_use_and_all_that_is_said_of_it_is_true(
    tmp_path: Path, inspector: Inspector, target: str, disk_format: str, made_as: str, options: tuple[str, ...]
) -> None:
    with a_world(tmp_path, inspector, convert_imports_to=target) as world:
        image = imported(world, a_disk(tmp_path, made_as, *options), disk_format=disk_format)

        data = world.alice.get(f"/v2/images/{image['id']}/file").content
        assert (image["status"], image["disk_format"], image["virtual_size"]) == ("active", target, SIZE)
        assert (image["size"], image["checksum"]) == (len(data), hashlib.md5(data).hexdigest())
        assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
        content = bytes_of(world, image["id"], target, tmp_path)
        assert (len(content), content[4 * MIB : 4 * MIB + len(PATTERN)]) == (SIZE, PATTERN)
        assert the_task(world, image)["status"] == "success"
        assert world.files() == [image["id"]]


@pytest.mark.parametrize(
    ("given", "data"),
    [
        ({"disk_format": "iso"}, an_iso()),
        ({"disk_format": "ami", "container_format": "ami"}, b"a file system"),
        ({"container_format": "docker"}, a_layout()),
        ({"disk_format": "vmdk", "img_signature": "x"}, a_sparse_vmdk()),
    ],
    ids=["iso", "ami", "container image", "signed"],
)
def test_what_is_no_plain_disk_or_is_signed_stays_as_it_is(to_qcow2: World, given: dict[str, Any], data: bytes) -> None:
    image = imported(to_qcow2, data, **given)

    assert (image["status"], image["disk_format"]) == ("active", given.get("disk_format", "raw"))
    assert to_qcow2.alice.get(f"/v2/images/{image['id']}/file").content == data


def test_an_upload_is_not_converted(to_qcow2: World, tmp_path: Path) -> None:
    data = a_disk(tmp_path, "vmdk")

    image = to_qcow2.active(data, disk_format="vmdk")

    assert (image["disk_format"], image["size"]) == ("vmdk", len(data))


def test_a_disk_too_large_when_unfolded_is_refused_before_anything_is_written(to_raw: World) -> None:
    image = imported(to_raw, a_qcow2(virtual_size=1 << 40, l1_entries=2048), disk_format="qcow2")

    assert (image["status"], image["disk_format"]) == ("queued", "qcow2")
    assert "would have more when converted" in the_task(to_raw, image)["message"]
    assert to_raw.files() == []


def test_a_disk_that_only_looks_whole_fails_with_words_and_leaves_nothing(to_qcow2: World) -> None:
    image = imported(to_qcow2, a_vdi(), disk_format="vdi")

    task = the_task(to_qcow2, image)
    assert (image["status"], task["status"]) == ("queued", "failure")
    assert "cannot be converted" in task["message"]
    assert str(to_qcow2.kit.store.directory) not in task["message"]
    assert to_qcow2.files() == []


def test_what_a_conversion_writes_counts_against_the_quota(tmp_path: Path, inspector: Inspector) -> None:
    with a_world(tmp_path, inspector, convert_imports_to="raw", project_quota_bytes=4 * MIB) as world:
        image = imported(world, a_disk(tmp_path, "qcow2"), disk_format="qcow2")

        assert image["status"] == "queued"
        assert "may store" in the_task(world, image)["message"]
        assert world.files() == []


def test_an_import_says_how_far_its_conversion_is(
    to_qcow2: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    real = Converter.convert

    def slow(self: Converter, source: Path, own: str, target: Path, other: str, tick: Any) -> None:
        real(self, source, own, target, other, tick)
        tick(42)
        [task] = to_qcow2.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
        said.append(f"{task['status']}: {task['message']}")

    monkeypatch.setattr(Converter, "convert", slow)
    image_id = to_qcow2.create(disk_format="vmdk")["id"]
    to_qcow2.stage(image_id, a_disk(tmp_path, "vmdk"))

    to_qcow2.imported(image_id)

    assert said == ["processing: Converting the image from vmdk to qcow2: 42 %"]


def test_deleting_an_image_ends_its_conversion(
    to_qcow2: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = to_qcow2.create(disk_format="vmdk")["id"]
    to_qcow2.stage(image_id, a_disk(tmp_path, "vmdk"))
    to_qcow2.begin_import(image_id)
    held, go_on = threading.Event(), threading.Event()
    real = Converter.convert

    def meanwhile(self: Converter, *given: Any) -> None:
        held.set()
        go_on.wait(60)
        real(self, *given)

    monkeypatch.setattr(Converter, "convert", meanwhile)
    working = threading.Thread(target=to_qcow2.work)
    working.start()
    assert held.wait(60)

    deleted = to_qcow2.alice.delete(f"/v2/images/{image_id}")
    go_on.set()
    working.join(30)

    assert deleted.status_code == 204
    until(lambda: to_qcow2.files() == [], what="the removal of all bytes")


# ---------------------------------------------------------------- the process that converts


def a_source(directory: Path) -> Path:
    directory.chmod(0o755)
    source = directory / "source.vmdk"
    source.write_bytes(a_disk(directory, "vmdk"))
    (directory / "target").touch()
    return source


def convert(directory: Path, source: Path, *, most_bytes: int = 1 << 30, most_s: float = 60, own: str = "vmdk") -> None:
    converter = Converter(most_bytes=most_bytes, most_s=most_s)
    converter.convert(source, own, directory / "target", "raw", lambda _: None)


def test_a_conversion_reads_no_file_but_its_own(tmp_path: Path) -> None:
    secret, source, target = tmp_path / "secret", tmp_path / "source", tmp_path / "target"
    secret.write_bytes(b"secret" * 1000)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(source), "6000")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(source), str(tmp_path / "other"))
    without_bounds = (tmp_path / "other").read_bytes()
    target.touch()

    with pytest.raises(ConversionFailed):
        convert(tmp_path, source, own="qcow2")

    assert b"secret" in without_bounds
    assert b"secret" not in target.read_bytes()


def test_a_conversion_writes_no_more_than_it_may(tmp_path: Path) -> None:
    source = a_source(tmp_path)

    with pytest.raises(TooLarge, match="at most"):
        convert(tmp_path, source, most_bytes=MIB)


def test_a_full_disk_ends_a_conversion_with_plain_words(tmp_path: Path) -> None:
    source, small = a_source(tmp_path), tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(small))
    try:
        (small / "target").touch()
        with pytest.raises(TooLarge, match="full"):
            convert(small, source)
    finally:
        run("umount", str(small))


def test_a_conversion_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    source = a_source(tmp_path)

    with pytest.raises(ConversionFailed, match="too long"):
        convert(tmp_path, source, most_s=0)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
def test_a_machine_without_room_for_a_conversion_may_have_some_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Of what is unavailable the import's engine asks again."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(a_disk(tmp_path, "vmdk"))
    target.touch()
    converter, popen = Converter(most_bytes=64 * MIB, most_s=60), subprocess.Popen

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(Unavailable, match="cannot be converted just now"):
        converter.convert(source, "vmdk", target, "qcow2", lambda _: None)
    monkeypatch.setattr(subprocess, "Popen", popen)
    converter.convert(source, "vmdk", target, "qcow2", lambda _: None)

    assert target.read_bytes()[:4] == b"QFI\xfb"


def test_a_conversion_whose_reader_gives_up_leaves_no_process(tmp_path: Path) -> None:
    source = a_source(tmp_path)
    before = children()

    def give_up(_: int) -> None:
        raise TooLarge("enough")

    with pytest.raises(TooLarge, match="enough"):
        Converter(most_bytes=MIB, most_s=60).convert(source, "vmdk", tmp_path / "target", "raw", give_up)

    assert children() == before


def children() -> set[str]:
    """Processes of this one, by their ids."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}
