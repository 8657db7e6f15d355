"""A disk without contents, as a qcow2 file: what a copy of a guest that runs nothing comes to.

Layout: qemu, docs/interop/qcow2.txt.
"""

from __future__ import annotations

import struct

CLUSTER = 1 << 16
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_IN_L1_ENTRY = CLUSTER // 8 * CLUSTER  # bytes of the disk that one entry of the first table stands for


def empty_disk(size_bytes: int) -> bytes:
    """Header, table of reference counts, the counts, first table: one cluster each, the table as many as it takes."""
    entries = -(-size_bytes // _IN_L1_ENTRY)
    table = -(-entries * 8 // CLUSTER)
    header = _HEADER.pack(
        b"QFI\xfb", 3, 0, 0, 16, size_bytes, 0, entries, 3 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, _HEADER.size
    )
    counts = struct.pack(">H", 1) * (3 + table)
    parts = (header, struct.pack(">Q", 2 * CLUSTER), counts, b"")
    return b"".join(part.ljust(CLUSTER, b"\0") for part in parts[:3]) + bytes(table * CLUSTER)
