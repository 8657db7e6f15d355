"""Look into a cached image before a guest gets it.

The image service has refused what is dangerous already; a host trusts nobody's word for it.  A qcow2 that names another
file is refused from its header, before any program opens it.  The format is what was recorded, never guessed from
the bytes: a "raw" image that holds a qcow2 is just a disk with strange contents.
"""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import BinaryIO

from common.errors import HostFailed, InvalidInput

FORMATS = ("qcow2", "raw")
MEMORY_LIMIT_BYTES = 1 << 30
CPU_LIMIT_S = 30
# qcow2 header, qemu docs/interop/qcow2.txt: backing file offset at 8, incompatible features at 72, header length at 100
_MAGIC = b"QFI\xfb"
_DATA_FILE_BIT = 1 << 2
_DATA_FILE_EXTENSION = 0x44415441
_LONGEST_HEADER = 1 << 16


def virtual_size(path: Path, disk_format: str) -> int:
    """Bytes of the disk that a guest would see; InvalidInput if the image can't or must not be used."""
    if disk_format not in FORMATS:
        raise InvalidInput(f"Images of format '{disk_format}' can't be used for a root disk")
    if disk_format == "raw":
        return path.stat().st_size
    with path.open("rb") as file:
        _refuse_references(file)
    return _ask_qemu(path)


def disk_size(path: Path) -> int:
    """Bytes of the disk in a qcow2 file, by its header."""
    with path.open("rb") as file:
        header = file.read(32)
    if len(header) < 32 or header[:4] != _MAGIC:
        raise InvalidInput("The disk is not the qcow2 file that it was made as")
    return int(struct.unpack_from(">Q", header, 24)[0])


def must_keep_to_itself(path: Path) -> None:
    """InvalidInput if a qcow2 file keeps its data elsewhere; what it says of a base is for others to pass over."""
    with path.open("rb") as file:
        header = file.read(_LONGEST_HEADER)
    if len(header) < 72 or header[:4] != _MAGIC:
        raise InvalidInput("The disk is not the qcow2 file that it was made as")
    if struct.unpack_from(">I", header, 4)[0] >= 3 and _names_data_file(header):
        raise InvalidInput("The disk keeps its data in another file")


def _refuse_references(file: BinaryIO) -> None:
    header = file.read(_LONGEST_HEADER)
    if len(header) < 72 or header[:4] != _MAGIC:
        raise InvalidInput("The image is not the qcow2 file that it was recorded as")
    [version] = struct.unpack_from(">I", header, 4)
    [backing_offset] = struct.unpack_from(">Q", header, 8)
    if backing_offset:
        raise InvalidInput("The image refers to a backing file")
    if version >= 3 and _names_data_file(header):
        raise InvalidInput("The image keeps its data in another file")


def _names_data_file(header: bytes) -> bool:
    if len(header) < 104:
        raise InvalidInput("The image's header is cut off")
    [features] = struct.unpack_from(">Q", header, 72)
    [offset] = struct.unpack_from(">I", header, 100)
    while offset + 8 <= len(header):
        kind, length = struct.unpack_from(">II", header, offset)
        if kind == 0:
            break
        if kind == _DATA_FILE_EXTENSION:
            return True
        offset += 8 + (length + 7) // 8 * 8
    return bool(features & _DATA_FILE_BIT)


def _ask_qemu(path: Path) -> int:
    """qemu's own reading of a header that refers to nothing outside, with memory and time bounded."""
    limits = ["prlimit", f"--as={MEMORY_LIMIT_BYTES}", f"--cpu={CPU_LIMIT_S}"]
    command = [*limits, "qemu-img", "info", "--force-share", "-f", "qcow2", "--output=json", str(path.absolute())]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CPU_LIMIT_S * 2, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailed("This host can't inspect images with qemu-img", path=str(path)) from error
    if done.returncode:
        raise InvalidInput("qemu can't read the image", said=done.stderr.decode(errors="replace")[-500:])
    info = json.loads(done.stdout)
    if _refers_elsewhere(info):
        raise InvalidInput("The image refers to another file")
    return int(info["virtual-size"])


def _refers_elsewhere(info: dict[str, object]) -> bool:
    special = info.get("format-specific")
    data = special.get("data") if isinstance(special, dict) else None
    return "backing-filename" in info or (isinstance(data, dict) and "data-file" in data)
