"""I1-I4, I7: images that reach for files outside of themselves, that lie about what they are, or that wear out who looks."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from tests.security.image.crafted import (
    CLUSTER,
    a_boot_sector,
    a_qcow2,
    a_sparse_vmdk,
    a_vdi,
    a_vhd,
    a_vhdx,
    a_vmdk_descriptor,
    an_iso,
)
from tests.unit.image.world import World

BACKED, OUTSIDE, UNSAFE = "has a backing file", "has an external data file", "has an unsafe VMDK descriptor"

SHADOW, NAMES = (0x44415441, b"/etc/shadow"), (0x6803F857, bytes(96))  # header extensions: data file, feature names
PARENT = 'parentFileNameHint="/etc/passwd"'
FLAT = a_vmdk_descriptor("monolithicFlat", 'RW 20480 FLAT "/etc/hosts" 0')
ENDLESS_TEXT = a_sparse_vmdk(b"a" * (4 << 20), sectors_of_descriptor=1 << 40)
ENDLESS_HEADER = a_qcow2()[:104].replace((104).to_bytes(4, "big"), b"\xff" * 4) + bytes(4 * CLUSTER)

# fmt: off
REFUSED = {
    "I1 qcow2 over a file of the host": ("qcow2", a_qcow2(backing=b"/etc/passwd"), BACKED),
    "I1 old qcow2 over a file of the host": ("qcow2", a_qcow2(version=2, backing=b"/etc/passwd"), BACKED),
    "I1 qcow2 over a JSON description": ("qcow2", a_qcow2(backing=b'json:{"driver":"file"}'), BACKED),
    "I1 vmdk with a parent": ("vmdk", a_sparse_vmdk(a_vmdk_descriptor(more=PARENT)), BACKED),
    "I1 vmdk with a parent's number": ("vmdk", a_sparse_vmdk(a_vmdk_descriptor().replace(b"ffffffff", b"12345678")), BACKED),
    "I1 vdi with a parent": ("vdi", a_vdi(kind=4), BACKED),
    "I1 vhd with a parent": ("vhd", a_vhd(kind=4), BACKED),
    "I1 vhdx with a parent": ("vhdx", a_vhdx(parent=True), BACKED),
    "I2 qcow2 with the data file's bit": ("qcow2", a_qcow2(incompatible=0b100), OUTSIDE),
    "I2 qcow2 that only names a data file": ("qcow2", a_qcow2(extensions=(SHADOW,)), OUTSIDE),
    "I2 qcow2 that names one last": ("qcow2", a_qcow2(extensions=(NAMES, SHADOW)), OUTSIDE),
    "I3 vmdk that is only a description": ("vmdk", FLAT.ljust(1024), UNSAFE),
    "I3 vmdk with an extent elsewhere": ("vmdk", a_sparse_vmdk(a_vmdk_descriptor(extent='RW 20480 SPARSE "/etc/hosts"')), UNSAFE),
    "I3 vmdk of a flat kind in a binary file": ("vmdk", a_sparse_vmdk(FLAT), UNSAFE),
    "I3 vmdk of a sparse kind as text": ("vmdk", a_vmdk_descriptor().ljust(1024), "without the disk's bytes"),
    "I3 vmdk without a description": ("vmdk", a_sparse_vmdk(b""), UNSAFE),
    "I4 qcow2 called raw": ("raw", a_qcow2(), "its content is qcow2"),
    "I4 qcow2 over a file, called raw": ("raw", a_qcow2(backing=b"/etc/passwd"), BACKED),
    "I4 vmdk called raw": ("raw", a_sparse_vmdk(), "its content is vmdk"),
    "I4 iso called raw": ("raw", an_iso(), "its content is iso"),
    "I4 a boot sector called raw": ("raw", a_boot_sector(), "its content is gpt"),
    "I4 raw called qcow2": ("qcow2", bytes(1 << 20), "its content is raw"),
    "I4 nothing called qcow2": ("qcow2", b"", "its content is raw"),
    "I4 vdi called qcow2": ("qcow2", a_vdi(), "its content is vdi"),
    "I4 qcow2 that is an iso as well": ("qcow2", a_qcow2()[:32768] + an_iso()[32768:], "iso and qcow2"),
    "I4 iso that is a qcow2 as well": ("iso", a_qcow2()[:32768] + an_iso()[32768:], "iso and qcow2"),
    "I7 qcow2 of version 1": ("qcow2", a_qcow2(version=1), "outdated"),
    "I7 qcow2 of version 9": ("qcow2", a_qcow2(version=9), "outdated"),
    "I7 qcow2 with unknown features": ("qcow2", a_qcow2(incompatible=1 << 40), "unknown"),
    "I7 qcow2 with a huge L1 table": ("qcow2", a_qcow2(l1_entries=(1 << 32) - 1), "too large an L1 table"),
    "I7 qcow2 of an endless disk": ("qcow2", a_qcow2(virtual_size=(1 << 64) - 1), "too large an L1 table"),
    "I7 qcow2 with a huge refcount table": ("qcow2", a_qcow2(refcount_clusters=(1 << 32) - 1), "too large a refcount table"),
    "I7 qcow2 with impossible refcounts": ("qcow2", a_qcow2(refcount_order=63), "impossible refcount order"),
    "I7 qcow2 with impossible clusters": ("qcow2", a_qcow2(cluster_bits=63), "impossible cluster size"),
    "I7 qcow2 with countless snapshots": ("qcow2", a_qcow2(snapshots=(1 << 32) - 1), "too many internal snapshots"),
    "I7 qcow2 with a header beyond its end": ("qcow2", ENDLESS_HEADER, "damaged"),
    "I7 qcow2 cut off": ("qcow2", a_qcow2()[:CLUSTER], "damaged"),
    "I7 qcow2 of 100 bytes": ("qcow2", a_qcow2()[:100], "its content is raw"),
    "I7 vmdk with an endless description": ("vmdk", ENDLESS_TEXT, "VMDK descriptor"),
}
# fmt: on


@pytest.mark.parametrize(("disk_format", "content", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_harmful_image_is_refused_with_its_reason_and_nothing_is_kept(
    world: World, disk_format: str, content: bytes, reason: str
) -> None:
    image_id = world.create(disk_format=disk_format)["id"]

    answer = world.upload(image_id, content)

    assert answer.status_code == 415, answer.text
    assert reason in answer.json()["message"]
    assert str(world.kit.store.directory) not in answer.text
    assert world.shown(image_id)["status"] == "queued"
    assert world.files() == []
    assert world.upload(image_id, b"", person=world.bob).status_code == 404


# fmt: off
TAKEN = {
    "qcow2":                ("qcow2", a_qcow2(), 1 << 30),
    "qcow2 of version 2":   ("qcow2", a_qcow2(version=2), 1 << 30),
    "vmdk":                 ("vmdk", a_sparse_vmdk(), 20480 * 512),
    "vdi":                  ("vdi", a_vdi(), 1 << 30),
    "vhd":                  ("vhd", a_vhd(), 1 << 30),
    "vhdx":                 ("vhdx", a_vhdx(), 1 << 30),
    "iso":                  ("iso", an_iso(), 1 << 20),
    "iso that boots":       ("iso", an_iso(with_boot_sector=True), 1 << 20),
    "disk with partitions": ("gpt", a_boot_sector(), 1 << 20),
    "kernel":               ("aki", a_boot_sector(), 1 << 20),
    "raw":                  ("raw", bytes(300_000), 300_000),
}
# fmt: on


@pytest.mark.parametrize(("disk_format", "content", "virtual_size"), TAKEN.values(), ids=TAKEN.keys())
def test_an_image_in_order_is_taken_with_the_size_of_its_disk(
    world: World, disk_format: str, content: bytes, virtual_size: int
) -> None:
    container = disk_format if disk_format == "aki" else "bare"

    image = world.active(content, disk_format=disk_format, container_format=container)

    assert (image["status"], image["virtual_size"]) == ("active", virtual_size)


@pytest.mark.parametrize(
    ("disk_format", "made_as"),
    [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vhd", "vpc"), ("vhdx", "vhdx"), ("raw", "raw")],
)
def test_what_qemu_makes_itself_is_taken(world: World, tmp_path: Path, disk_format: str, made_as: str) -> None:
    disk = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", made_as, disk, "20M"], check=True)

    image = world.active(disk.read_bytes(), disk_format=disk_format)

    assert image["virtual_size"] == pytest.approx(20 << 20, rel=0.01)  # VHD rounds to its geometry


def test_i7_an_inspection_gets_no_more_than_its_memory_and_time(world: World, tmp_path: Path) -> None:
    greedy = tmp_path / "greedy.qcow2"
    with greedy.open("wb") as file:  # 40 GiB of nothing, with all that an inspector could be made to load
        file.write(a_qcow2(l1_entries=(1 << 32) - 1, extensions=((0x6803F857, bytes(1000)),)))
        file.truncate(40 << 30)
    started = time.monotonic()

    finding = world.kit.inspector.inspect(greedy)

    assert finding.problems
    assert time.monotonic() - started < 120


def test_i7_the_api_answers_while_an_image_is_looked_into(world: World, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.vmdk"
    footer_at_end = a_sparse_vmdk().replace((26).to_bytes(8, "little"), b"\xff" * 8, 1)
    with sparse.open("wb") as file:
        file.write(footer_at_end)
        file.truncate(3 << 30)  # its end is looked for, so all of it is read
    looking = Thread(target=world.kit.inspector.inspect, args=(sparse,))
    looking.start()

    times = []
    while looking.is_alive():
        began = time.monotonic()
        assert world.alice.get("/v2/images").status_code == 200
        times.append(time.monotonic() - began)
    looking.join()

    assert times and sorted(times)[len(times) // 2] < 3


def test_the_inspecting_process_is_started_again_after_it_was_killed(world: World) -> None:
    image = world.active(a_qcow2(), disk_format="qcow2")
    inspector = world.kit.inspector

    for process in inspector._idle:  # type: ignore[attr-defined]
        process.kill()
        process.wait()
    again = world.active(a_qcow2(), disk_format="qcow2")

    assert image["virtual_size"] == again["virtual_size"]


def test_an_inspection_has_given_up_its_rights(tmp_path: Path) -> None:
    """Run the bounded part by itself: no root; nothing to open, connect to or start, even with a file closed."""
    image = tmp_path / "image"
    image.write_bytes(b"x")
    program = (
        "import errno, os, resource, socket, sys\n"
        "from services.image.drivers.inspect import child\n"
        "def look(file, size):\n"
        "    os.close(file)\n"
        "    refused = []\n"
        "    attempts = (lambda: os.open('/etc/passwd', os.O_RDONLY), lambda: os.open('/tmp/x', os.O_CREAT | os.O_WRONLY),\n"
        "                socket.socket, os.fork, lambda: os.execv('/bin/true', ['true']), lambda: os.kill(1, 0))\n"
        "    for attempt in attempts:\n"
        "        try:\n"
        "            attempt()\n"
        "        except OSError as error:\n"
        "            refused.append(errno.errorcode[error.errno])\n"
        "    return {'refused': refused}\n"
        "def bounds(file, size):\n"
        "    return {'user': os.geteuid(), 'limits': limits}\n"
        "limits = {}\n"
        "set_limit = resource.setrlimit\n"
        "resource.setrlimit = lambda what, most: limits.update({what: most[0]}) or set_limit(what, most)\n"
        "child.only_compute, confine = lambda: None, child.only_compute\n"
        "print(child._inspected_apart(sys.argv[1], bounds))\n"
        "child.only_compute = confine\n"
        "print(child._inspected_apart(sys.argv[1], look))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(image)], capture_output=True, text=True, check=True)
    bounds, refused = map(json.loads, done.stdout.splitlines())

    assert refused == {"refused": ["EPERM"] * 6}
    assert bounds["user"] == (65534 if os.geteuid() == 0 else os.geteuid())
    assert bounds["limits"][str(int(resource.RLIMIT_AS))] == 1 << 30
    assert bounds["limits"][str(int(resource.RLIMIT_FSIZE))] == 0
    assert 30 <= bounds["limits"][str(int(resource.RLIMIT_CPU))] <= 32
