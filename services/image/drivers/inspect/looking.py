"""Look into one open file: which disk image formats it matches, and why it would be dangerous to open.

oslo.utils' inspectors recognise the formats and check most of it; what they leave out is added here.  Runs only in the
bounded process of `child`.  Facts: docs/interop/qcow2.txt and block/{vmdk,vpc,vdi,vhdx}.c of QEMU.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

from oslo_utils.imageutils import format_inspector as oslo

from services.image.drivers.inspect.archives import ARCHIVES, Part, Refused

logging.disable(logging.CRITICAL)  # the reasons travel in the answer; the lines would hold what strangers wrote

PIECE_BYTES = 1 << 20

# fmt: off
WORDING = {  # oslo's check -> the sentence's end after "it"
    "backing_file":     "has a backing file",
    "data_file":        "has an external data file",
    "unknown_features": "uses unknown or outdated features of its format",
    "descriptor":       "has an unsafe VMDK descriptor",
    "footer":           "has an unsafe VMDK footer",
    "banned":           "is of a format that is never allowed",
    "version":          "is of an unsupported version of its format",
}
# fmt: on
HARMLESS = {"mbr", "null", "passphrase"}  # partition tables point to nothing outside


def look(file: int, size: int, container: str | None = None) -> dict[str, Any]:
    """Formats, virtual size and problems of the open file; `container` is what it is said to be wrapped in."""
    formats, virtual_size, problems = _looked(file, 0, size)
    if formats == ["raw"] and container in ARCHIVES:
        formats, virtual_size, problems = _look_inside(str(container), file, size)
    return {"formats": formats, "virtual_size": virtual_size, "problems": problems}


def _look_inside(container: str, file: int, size: int) -> tuple[list[str], int, list[str]]:
    """The same of an archive."""

    def inspected(part: Part) -> tuple[list[str], int, list[str]]:
        return _looked(file, part.at, part.size)

    try:
        return [container], ARCHIVES[container](file, size, inspected), []
    except Refused as refused:
        return [container], 0, [str(refused)]


def _looked(file: int, at: int, size: int) -> tuple[list[str], int, list[str]]:
    """The same of the bytes from `at` on."""
    if size == 0:
        return ["raw"], 0, []
    section = Section(file, at, size)
    wrapper = oslo.InspectWrapper(section)
    while wrapper.formats is None and wrapper.read(PIECE_BYTES):
        pass
    wrapper.close()
    matches = wrapper.formats or []
    problems = [problem for one in matches for problem in (*_unsafe(one), *_more(one, section, size))]
    virtual_size = _virtual_size(matches, size, problems)
    return sorted(str(one) for one in matches), virtual_size, list(dict.fromkeys(problems))


class Section:
    """Some of a file's bytes, as a file of their own."""

    def __init__(self, file: int, at: int, size: int) -> None:
        self._file, self._at, self._size, self._read = file, at, size, 0

    def read(self, size: int) -> bytes:
        piece = self.pread(size, self._read)
        self._read += len(piece)
        return piece

    def pread(self, size: int, at: int) -> bytes:
        """Fewer than `size` only at the end."""
        return os.pread(self._file, max(min(size, self._size - at), 0), self._at + at)


def _unsafe(one: Any) -> Iterator[str]:
    try:
        one.safety_check()
    except oslo.SafetyCheckFailed as error:
        yield from (WORDING.get(name, "is unsafe") for name in error.failures if name not in HARMLESS)
    except Exception:
        yield f"is damaged: its {one} header cannot be read"


def _virtual_size(matches: list[Any], size: int, problems: list[str]) -> int:
    special = [one for one in matches if str(one) not in ("raw", "gpt", "luks")]
    if not special or problems:
        return size if not special else 0
    try:
        found = int(special[0].virtual_size)
    except Exception:
        problems.append(f"is damaged: its {special[0]} header cannot be read")
        return 0
    if not 0 <= found < 1 << 63:
        problems.append("claims an impossible size")
    return found


def _more(one: Any, file: Section, size: int) -> Iterator[str]:
    check = MORE.get(str(one))
    if check is not None:
        try:
            yield from check(one, file, size)
        except (struct.error, KeyError, OSError):
            yield f"is damaged: its {one} header cannot be read"


# qcow2: magic, version, backing file (offset, length), cluster bits, size, encryption, L1 (entries, offset),
# refcount table (offset, clusters), snapshots (number, offset); from version 3 on features, refcount order, header length
QCOW2 = struct.Struct(">4sIQIIQIIQQIIQ")
QCOW2_V3 = struct.Struct(">QQQII")
EXTERNAL_DATA_FILE = 0x44415441
MAX_L1_BYTES = MAX_REFTABLE_BYTES = 32 << 20  # QEMU's own bounds, block/qcow2.h
MAX_SNAPSHOTS = 65536
LARGEST_QCOW2 = 1 << 61


def _qcow2(_: Any, file: Section, size: int) -> Iterator[str]:
    head = file.pread(512, 0)
    _, version, backing_at, backing_length, cluster_bits, virtual, _, *tables = QCOW2.unpack_from(head)
    l1_entries, l1_at, refcounts_at, refcount_clusters, snapshots, snapshots_at = tables
    if backing_at or backing_length:
        yield "has a backing file"
    if not 9 <= cluster_bits <= 21:
        yield "has an impossible cluster size"
        return
    if l1_entries * 8 > MAX_L1_BYTES or virtual >= LARGEST_QCOW2:
        yield "has too large an L1 table"
    if refcount_clusters << cluster_bits > MAX_REFTABLE_BYTES:
        yield "has too large a refcount table"
    if snapshots > MAX_SNAPSHOTS:
        yield "has too many internal snapshots"
    places = ((l1_entries, l1_at), (refcount_clusters, refcounts_at), (snapshots, snapshots_at))
    if any(count and place >= size for count, place in places):
        yield "is damaged: its tables lie beyond its end"
    if version >= 3:
        yield from _qcow2_v3(file, head, 1 << cluster_bits)


def _qcow2_v3(file: Section, head: bytes, cluster: int) -> Iterator[str]:
    incompatible, _, _, refcount_order, header_length = QCOW2_V3.unpack_from(head, QCOW2.size)
    if incompatible & 0b100:
        yield "has an external data file"
    if refcount_order > 6:
        yield "has an impossible refcount order"
    if not 104 <= header_length <= cluster:
        yield "is damaged: its header has an impossible length"
        return
    if EXTERNAL_DATA_FILE in _extensions(file.pread(cluster, 0), header_length):
        yield "has an external data file"


def _extensions(head: bytes, at: int) -> Iterator[int]:
    """Types of the header extensions, which fill the first cluster at most."""
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == 0:
            return
        yield kind
        at += 8 + (length + 7) // 8 * 8


def _vmdk(one: Any, file: Section, size: int) -> Iterator[str]:
    if file.pread(4, 0) != b"KDMV":
        yield "is a VMDK descriptor without the disk's bytes"
    for line in (one.desc_text or "").splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if name == "parentfilenamehint" or (name == "parentcid" and value.strip('"') != "ffffffff"):
            yield "has a backing file"


def _vdi(one: Any, file: Section, size: int) -> Iterator[str]:
    (kind,) = struct.unpack("<I", file.pread(4, 0x4C))
    if kind not in (1, 2):  # dynamic, static; all others depend on a parent
        yield "has a backing file"


def _vhd(one: Any, file: Section, size: int) -> Iterator[str]:
    (kind,) = struct.unpack(">I", file.pread(4, 60))
    if kind not in (2, 3):  # fixed, dynamic; 4 is differencing
        yield "has a backing file"


VHDX_PARENT_LOCATOR = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")


def _vhdx(one: Any, file: Section, size: int) -> Iterator[str]:
    if not one.has_region("metadata"):
        yield "is damaged: its vhdx header cannot be read"
    elif VHDX_PARENT_LOCATOR in bytes(one.region("metadata").data):
        yield "has a backing file"


MORE: dict[str, Callable[[Any, Section, int], Iterator[str]]] = {
    "qcow2": _qcow2,
    "vmdk": _vmdk,
    "vdi": _vdi,
    "vhd": _vhd,
    "vhdx": _vhdx,
}
