"""Copies of real guests' disks: what was written in a guest is in them, what a guest should not reach is not."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest

from common.errors import Conflict, HostFailed, InvalidInput
from services.compute.core.guests import GuestSize, GuestSpec, PowerState, Quiesce
from services.compute.drivers.images import virtual_size
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.integration.compute.drivers.test_libvirt_guests import root_disk, virsh
from tests.unit.compute.drivers.builders import a_spec, eventually, libvirt_options

BOOT_S = 240  # by emulation on a busy machine
META, USER_DATA = "openstack/latest/meta_data.json", "openstack/latest/user_data"
WRITES = '#!/bin/sh\necho kept-by-the-copy > /root/kept\nsync\necho "WROTE it" > /dev/ttyS0\n'
SECRET = b"SECRET of the host, in no copy"


def a_guest(
    hypervisor: LibvirtHypervisor, image: Path, *, user_data: str = "", disk_format: str = "qcow2"
) -> GuestSpec:
    drive = {META: json.dumps({"uuid": str(uuid4()), "hostname": "copied"}), USER_DATA: user_data}
    spec = a_spec(memory_mib=256, config_drive=drive, disk_format=disk_format)
    hypervisor.create(spec, image)
    return spec


def says(hypervisor: LibvirtHypervisor, server_id: UUID, text: bytes) -> bool:
    return eventually(lambda: text in hypervisor.console(server_id, max_bytes=1 << 20), within_s=BOOT_S)


def copied(hypervisor: LibvirtHypervisor, server_id: UUID, *, quiesce: Quiesce = Quiesce.NO) -> Path:
    return hypervisor.copy_disk(server_id, uuid4(), quiesce=quiesce, over=Event())


def contents(path: Path, place: Path) -> bytes:
    """The disk that a qcow2 file holds, its first MiB."""
    raw = place / f"{uuid4()}.raw"
    options = ["bs=1M", "count=1", "-f", "qcow2", "-O", "raw"]
    subprocess.run(["qemu-img", "dd", *options, f"if={path}", f"of={raw}"], check=True, capture_output=True)
    return raw.read_bytes()


def test_a_guest_boots_from_a_copy_and_finds_what_was_written_before(
    hypervisor: LibvirtHypervisor, bootable: Path, place: Path
) -> None:
    spec = a_guest(hypervisor, bootable, user_data=WRITES)
    assert says(hypervisor, spec.server_id, b"WROTE it")

    live = copied(hypervisor, spec.server_id, quiesce=Quiesce.MUST)
    hypervisor.pause(spec.server_id)
    paused = copied(hypervisor, spec.server_id)
    hypervisor.stop(spec.server_id, patience_s=0)
    off = copied(hypervisor, spec.server_id)

    for copy in (live, paused, off):
        assert virtual_size(copy, "qcow2") == 1 << 30  # refers to no other file, as a cached image must not
        assert copy.stat().st_size < 100 << 20, "it is compact"
        assert (copy.stat().st_uid, copy.stat().st_mode & 0o777) == (0, 0o600)
    image = place / "snapshot"
    image.write_bytes(live.read_bytes())
    image.chmod(0o444)
    hypervisor.destroy(spec.server_id)
    again = a_guest(hypervisor, image)
    assert says(hypervisor, again.server_id, b"login:")
    assert kept_in(hypervisor, again.server_id) == "kept-by-the-copy"


def kept_in(hypervisor: LibvirtHypervisor, server_id: UUID) -> str:
    """What the running guest's agent reads from its disk."""

    def ask(command: str, **arguments: object) -> object:
        asked = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(virsh("qemu-agent-command", str(server_id), asked))["return"]

    handle = ask("guest-file-open", path="/root/kept", mode="r")
    read = ask("guest-file-read", handle=handle)
    assert isinstance(read, dict)
    return b64decode(read["buf-b64"]).decode().strip()


def test_i9_a_header_that_the_guest_wrote_over_its_own_disk_is_only_data(
    hypervisor: LibvirtHypervisor, place: Path
) -> None:
    secret, image = place / "secret", place / "raw"
    secret.write_bytes(SECRET.ljust(4096, b"\0"))
    image.write_bytes(bytes(8 << 20))
    image.chmod(0o444)
    spec = a_guest(hypervisor, image, disk_format="raw")
    hypervisor.stop(spec.server_id, patience_s=0)
    write_header(root_disk(hypervisor, spec.server_id), secret, place)

    off = contents(copied(hypervisor, spec.server_id), place)
    hypervisor.start(spec.server_id)
    live = contents(copied(hypervisor, spec.server_id), place)

    for disk in (off, live):
        assert disk.startswith(b"QFI\xfb") and str(secret).encode() in disk[:1024]
        assert SECRET not in disk


def test_i10_the_same_header_survives_a_resize_and_back_as_data(hypervisor: LibvirtHypervisor, place: Path) -> None:
    secret, image = place / "secret", place / "raw"
    secret.write_bytes(SECRET.ljust(4096, b"\0"))
    image.write_bytes(bytes(8 << 20))
    image.chmod(0o444)
    spec = a_guest(hypervisor, image, disk_format="raw")
    hypervisor.stop(spec.server_id, patience_s=0)
    write_header(root_disk(hypervisor, spec.server_id), secret, place)

    hypervisor.resize(spec.server_id, GuestSize(flavor="m1.small", vcpus=1, memory_mib=256, root_gib=2))
    larger = copied(hypervisor, spec.server_id)
    hypervisor.restore_size(spec.server_id, ())
    back = copied(hypervisor, spec.server_id)

    assert (virtual_size(larger, "qcow2"), virtual_size(back, "qcow2")) == (2 << 30, 1 << 30)
    for disk in (contents(larger, place), contents(back, place)):
        assert disk.startswith(b"QFI\xfb") and SECRET not in disk


def write_header(disk: Path, secret: Path, place: Path) -> None:
    """What a guest can do: begin its disk with the header of a qcow2 file that refers to a file of the host."""
    header = place / "header"
    create = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(header), "8M"]
    subprocess.run(create, check=True)
    on_disk(disk, f"write -s {header} 0 64k")


def on_disk(disk: Path, command: str) -> str:
    """By qemu-io, which writes and reads as a guest would."""
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", command, str(disk)], check=True, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_i22_a_new_disk_reads_as_zeros_where_another_guest_had_its_data(
    hypervisor: LibvirtHypervisor, image: Path
) -> None:
    others = [a_guest(hypervisor, image) for _ in range(2)]
    for spec in others:
        hypervisor.stop(spec.server_id, patience_s=0)
        assert "wrote" in on_disk(root_disk(hypervisor, spec.server_id), "write -P 0xa5 64M 64M")
        hypervisor.destroy(spec.server_id)

    mine = a_guest(hypervisor, image)
    hypervisor.stop(mine.server_id, patience_s=0)
    hypervisor.resize(mine.server_id, GuestSize(flavor="m1.small", vcpus=1, memory_mib=256, root_gib=2))

    for disk in (root_disk(hypervisor, mine.server_id), copied(hypervisor, mine.server_id)):
        for start in ("64M", "960M", "1984M"):
            read = on_disk(disk, f"read -P 0 {start} 64M")
            assert "read 67108864/67108864" in read and "verification failed" not in read


def test_i10_what_a_disk_itself_says_of_its_base_is_not_believed(
    hypervisor: LibvirtHypervisor, image: Path, place: Path
) -> None:
    """As if a qemu that was taken over had rewritten the file that it has open."""
    secret = place / "secret"
    secret.write_bytes(SECRET.ljust(1 << 20, b"\0"))
    spec = a_guest(hypervisor, image)
    hypervisor.stop(spec.server_id, patience_s=0)
    disk = root_disk(hypervisor, spec.server_id)
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(disk)], check=True)

    copy = copied(hypervisor, spec.server_id)

    assert SECRET not in contents(copy, place)


def test_a_disk_that_keeps_its_data_elsewhere_is_not_copied(
    hypervisor: LibvirtHypervisor, image: Path, place: Path
) -> None:
    spec = a_guest(hypervisor, image)
    hypervisor.stop(spec.server_id, patience_s=0)
    disk, elsewhere = root_disk(hypervisor, spec.server_id), place / "elsewhere"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={elsewhere}", str(place / "evil"), "1G"]
    subprocess.run(create, check=True)
    disk.write_bytes((place / "evil").read_bytes())

    with pytest.raises((InvalidInput, HostFailed)):
        copied(hypervisor, spec.server_id)

    assert list(hypervisor.options.copies.iterdir()) == []


def test_what_is_not_wanted_any_more_ends_and_leaves_nothing(
    hypervisor: LibvirtHypervisor, image: Path, place: Path
) -> None:
    spec = a_guest(hypervisor, image)
    over = Event()
    over.set()

    with pytest.raises(Conflict):
        hypervisor.copy_disk(spec.server_id, uuid4(), quiesce=Quiesce.NO, over=over)
    hypervisor.stop(spec.server_id, patience_s=0)
    with pytest.raises(Conflict):
        hypervisor.copy_disk(spec.server_id, uuid4(), quiesce=Quiesce.NO, over=over)

    assert list(hypervisor.options.copies.iterdir()) == []
    assert hypervisor.start(spec.server_id) is PowerState.RUNNING


def test_a_guest_that_must_be_frozen_and_has_no_agent_is_not_copied(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_guest(hypervisor, image)

    with pytest.raises(Conflict, match="freeze"):
        copied(hypervisor, spec.server_id, quiesce=Quiesce.MUST)

    assert copied(hypervisor, spec.server_id, quiesce=Quiesce.TRY).exists()


@contextmanager
def slowly(server_id: UUID) -> Iterator[None]:
    """The guest's disk reads 1 MiB a second for the block."""
    virsh("blkdeviotune", str(server_id), "vda", "--read-bytes-sec", str(1 << 20))
    yield


def test_a_guest_is_destroyed_in_the_middle_of_its_copy(hypervisor: LibvirtHypervisor, bootable: Path) -> None:
    spec = a_guest(hypervisor, bootable)
    failed: list[Exception] = []

    def copy() -> None:
        try:
            copied(hypervisor, spec.server_id)
        except Exception as error:
            failed.append(error)

    with slowly(spec.server_id):
        copying = Thread(target=copy)
        copying.start()
        assert eventually(lambda: hypervisor.copied() == {spec.server_id})
        hypervisor.destroy(spec.server_id)
        copying.join(90)

    assert len(failed) == 1
    assert hypervisor.copied() == set() and hypervisor.leftovers() == set()


def test_an_agent_that_was_killed_leaves_a_copy_that_the_next_one_makes_anew(
    hypervisor: LibvirtHypervisor, bootable: Path, place: Path
) -> None:
    """Killed: the job goes on in qemu, half a file lies there, and nobody waits for it."""
    spec, image_id = a_guest(hypervisor, bootable), uuid4()
    dead = LibvirtHypervisor(libvirt_options(place, cloud_id=hypervisor.options.cloud_id))
    with slowly(spec.server_id):
        given_up = Event()
        Thread(target=_until_the_end, args=(dead, spec.server_id, image_id, given_up), daemon=True).start()
        assert eventually(lambda: hypervisor.copied() == {spec.server_id})
        dead._connection.close()
    virsh("blkdeviotune", str(spec.server_id), "vda", "--read-bytes-sec", "0")

    copy = hypervisor.copy_disk(spec.server_id, image_id, quiesce=Quiesce.NO, over=Event())

    assert virtual_size(copy, "qcow2") == 1 << 30
    hypervisor.drop_copies(spec.server_id)
    assert hypervisor.copied() == set()


def _until_the_end(hypervisor: LibvirtHypervisor, server_id: UUID, image_id: UUID, over: Event) -> None:
    try:
        hypervisor.copy_disk(server_id, image_id, quiesce=Quiesce.NO, over=over)
    except Exception:
        return


def test_a_host_without_room_refuses_before_it_writes(
    hypervisor: LibvirtHypervisor, bootable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = a_guest(hypervisor, bootable)
    usage = shutil.disk_usage(bootable)._replace(free=280 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    with pytest.raises(HostFailed, match="no room for a copy"):
        copied(hypervisor, spec.server_id)

    assert list(hypervisor.options.copies.iterdir()) == []
