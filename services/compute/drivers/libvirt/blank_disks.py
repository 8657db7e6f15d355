"""Makes the disks that a guest has besides its root: a file system or swap on nothing but zeros.

Each is a new file, never a used one: what another guest once wrote can't come up in it.  It is made under another name, so
that it is whole or not there; a hole of any size costs nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from common.errors import HostFailed
from services.compute.core.guests import BlankDisk, DiskKind
from services.compute.drivers.images.conversion import PLAIN
from services.compute.drivers.images.inspection import disk_size

MIB = 1 << 20
TIMEOUT_S = 60
FORMATS = {DiskKind.EPHEMERAL: "qcow2", DiskKind.SWAP: "raw"}
# what old guests can't read is left out; zeros need not be written once more
_EXT = ("-q", "-F", "-E", "assume_storage_prezeroed=1,nodiscard", "-O", "^metadata_csum_seed,^orphan_file")
# fmt: off
MAKERS: dict[str, Callable[[str], list[str]]] = {
    # file system -> the program that makes it, with this label, in the file named last
    "ext2": lambda label: ["mkfs.ext2", *_EXT, "-L", label],
    "ext3": lambda label: ["mkfs.ext3", *_EXT, "-L", label],
    "ext4": lambda label: ["mkfs.ext4", *_EXT, "-L", label],
    "vfat": lambda label: ["mkfs.vfat", "-n", label],
    "xfs":  lambda label: ["mkfs.xfs", "-q", "-f", "-K", "-L", label],
}
# fmt: on


@dataclass(frozen=True, slots=True)
class BlankFile:
    """Where such a disk is, and what it is called in the guest.

    An ephemeral one is qcow2, as libvirt keeps the way back from a resize within a guest's disks; swap has no past to go
    back to, is made anew for another size, and so is raw.
    """

    path: Path
    label: str
    kind: DiskKind
    bus: str | None = field(default=None, compare=False)  # where it is plugged in; None: where the root disk is

    @property
    def format(self) -> str:
        return FORMATS[self.kind]


def make_blank(disk: BlankDisk, file: BlankFile) -> None:
    """Anew, whatever was there.  HostFailed"""
    with TemporaryDirectory(dir=file.path.parent, prefix=f"{file.path.name}-") as scratch:
        raw, half = Path(scratch, "raw"), Path(scratch, "half")
        raw.touch(mode=0o600)
        with raw.open("r+b") as opened:
            opened.truncate(disk.size_mib * MIB)
        _run(*_maker(disk, file.label), str(raw))
        if file.format == "raw":
            raw.rename(file.path)
            return
        _run("qemu-img", "convert", "-f", "raw", "-O", file.format, "-o", "compat=1.1", str(raw), str(half))
        half.chmod(0o600)
        half.rename(file.path)


def grow_blank(disk: BlankDisk, file: BlankFile) -> None:
    """An ephemeral one to at least its size, file system excepted: that is the guest's.  HostFailed"""
    if file.kind is DiskKind.EPHEMERAL and disk_size(file.path) < disk.size_mib * MIB:
        _run("qemu-img", "resize", "-q", "-f", file.format, str(file.path), f"{disk.size_mib}M")


def _maker(disk: BlankDisk, label: str) -> list[str]:
    if disk.kind is DiskKind.SWAP:
        return ["mkswap"]
    if disk.file_system not in MAKERS:
        raise HostFailed(f"This host makes no file systems of format {disk.file_system!r:.32}")
    return MAKERS[disk.file_system](label)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False, env=PLAIN
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailed(f"This host can't make disks with {command[0]}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        why = "the host's disk is full" if "No space left" in said else f"{command[0]} failed"
        raise HostFailed(f"A disk of the guest could not be made: {why}", said=said[-500:])
