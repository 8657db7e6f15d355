"""Disks with nothing on them but a file system or swap, made by the programs that hosts have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from common.errors import HostFailed
from services.compute.core.guests import BlankDisk, DiskKind
from services.compute.core.local_disks import FILE_SYSTEMS
from services.compute.drivers.images.inspection import disk_size
from services.compute.drivers.libvirt import blank_disks
from services.compute.drivers.libvirt.blank_disks import BlankFile, grow_blank, make_blank

GIB = 1 << 30


def a_file(place: Path, kind: DiskKind = DiskKind.EPHEMERAL) -> BlankFile:
    return BlankFile(place / "disk", "swap" if kind is DiskKind.SWAP else "ephemeral0", kind)


def an_ephemeral(gib: int = 1, file_system: str = "ext4") -> BlankDisk:
    return BlankDisk(kind=DiskKind.EPHEMERAL, size_mib=gib * 1024, file_system=file_system)


def raw(file: BlankFile) -> Path:
    """What a guest would see."""
    seen = file.path.with_suffix(".seen")
    subprocess.run(["qemu-img", "convert", "-f", file.format, "-O", "raw", str(file.path), str(seen)], check=True)
    return seen


def tag(path: Path, name: str) -> str:
    done = subprocess.run(["blkid", "-p", "-o", "value", "-s", name, str(path)], check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_an_ephemeral_disk_holds_its_file_system_under_its_label(tmp_path: Path, file_system: str) -> None:
    file = a_file(tmp_path)

    make_blank(an_ephemeral(file_system=file_system), file)

    seen = raw(file)
    assert (tag(seen, "TYPE"), tag(seen, "LABEL").lower()) == (file_system, "ephemeral0")
    assert seen.stat().st_size == GIB
    assert not list(tmp_path.glob("disk-*"))


def test_a_swap_disk_can_be_swapped_to_as_it_is(tmp_path: Path) -> None:
    file = a_file(tmp_path, DiskKind.SWAP)

    make_blank(BlankDisk(kind=DiskKind.SWAP, size_mib=64), file)

    assert tag(file.path, "TYPE") == "swap" and file.path.stat().st_size == 64 << 20


def test_a_disk_takes_no_room_until_it_is_written_to_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    file = a_file(tmp_path)

    make_blank(an_ephemeral(200), file)

    found = file.path.stat()
    assert disk_size(file.path) == 200 * GIB and found.st_blocks * 512 < 64 << 20
    assert found.st_mode & 0o777 == 0o600


def test_a_disk_made_where_another_was_shows_nothing_of_it(tmp_path: Path) -> None:
    file, secret = a_file(tmp_path, DiskKind.SWAP), b"what the guest before wrote"
    file.path.write_bytes(b"\0" * 4096 + secret * (1 << 20))

    make_blank(BlankDisk(kind=DiskKind.SWAP, size_mib=16), file)

    assert secret not in file.path.read_bytes()
    assert set(file.path.read_bytes()[4096:]) == {0}  # past the header there are zeros alone


def test_a_disk_grows_with_its_contents_and_never_shrinks(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    make_blank(an_ephemeral(1), file)

    for gib in (2, 2, 1):
        grow_blank(an_ephemeral(gib), file)

    assert disk_size(file.path) == 2 * GIB and tag(raw(file), "LABEL") == "ephemeral0"


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(blank_disks.MAKERS, "ext4", lambda label: ["false"])

    for file_system in ("ext4", "ntfs"):
        with pytest.raises(HostFailed):
            make_blank(an_ephemeral(file_system=file_system), a_file(tmp_path))

    assert list(tmp_path.iterdir()) == []
