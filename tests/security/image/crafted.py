"""Images made to harm, byte by byte.  Layouts: docs/interop/qcow2.txt and block/{vmdk,vdi,vpc}.c of QEMU."""

from __future__ import annotations

import struct

CLUSTER = 65536


def a_qcow2(
    *,
    version: int = 3,
    backing: bytes = b"",
    virtual_size: int = 1 << 30,
    cluster_bits: int = 16,
    l1_entries: int = 2,
    l1_at: int = 3 * CLUSTER,
    refcount_clusters: int = 1,
    snapshots: int = 0,
    incompatible: int = 0,
    refcount_order: int = 4,
    header_length: int = 104,
    extensions: tuple[tuple[int, bytes], ...] = (),
) -> bytes:
    """A qcow2 that is in order unless told otherwise."""
    more = b"".join(struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8) for kind, data in extensions)
    more += bytes(8)
    backing_at = header_length + len(more) if backing else 0
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        *(b"QFI\xfb", version, backing_at, len(backing), cluster_bits, virtual_size, 0, l1_entries, l1_at),
        *(CLUSTER, refcount_clusters, snapshots, 0),
    )
    if version >= 3:
        head += struct.pack(">QQQII", incompatible, 0, 0, refcount_order, header_length)
    return (head.ljust(header_length, b"\0") + more + backing).ljust(4 * CLUSTER, b"\0")


def a_vmdk_descriptor(
    kind: str = "monolithicSparse", extent: str = 'RW 20480 SPARSE "disk.vmdk"', more: str = ""
) -> bytes:
    return (
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        f'createType="{kind}"\n{more}\n# Extent description\n{extent}\n\nddb.adapterType = "ide"\n'
    ).encode()


def a_sparse_vmdk(descriptor: bytes | None = None, *, sectors_of_descriptor: int = 20) -> bytes:
    """A binary VMDK that holds its descriptor."""
    head = struct.pack("<4sIIQQQQIQQ", b"KDMV", 1, 3, 20480, 128, 1, sectors_of_descriptor, 512, 21, 26)
    text = (descriptor if descriptor is not None else a_vmdk_descriptor()).ljust(20 * 512, b"\0")
    return (head.ljust(512, b"\0") + text).ljust(1 << 20, b"\0")


def a_vdi(kind: int = 1) -> bytes:
    head = bytearray(1 << 20)
    struct.pack_into("<II", head, 0x40, 0xBEDA107F, 0x00010001)
    struct.pack_into("<I", head, 0x4C, kind)
    struct.pack_into("<Q", head, 0x170, 1 << 30)
    return bytes(head)


def a_vhd(kind: int = 3) -> bytes:
    head = bytearray(1 << 20)
    head[:8] = b"conectix"
    struct.pack_into(">Q", head, 40, 1 << 30)
    struct.pack_into(">Q", head, 48, 1 << 30)
    struct.pack_into(">I", head, 60, kind)
    return bytes(head)


def a_boot_sector() -> bytes:
    """An MBR disk with one partition."""
    head = bytearray(1 << 20)
    head[446:462] = struct.pack("<B3BB3BII", 0x80, 0, 2, 0, 0x83, 0, 0, 0, 2048, 2048)
    head[510:512] = b"\x55\xaa"
    return bytes(head)


def an_iso(*, with_boot_sector: bool = False) -> bytes:
    head = bytearray(a_boot_sector() if with_boot_sector else bytes(1 << 20))
    head[32768:32775] = b"\x01CD001\x01"
    struct.pack_into("<L", head, 32768 + 80, 512)
    struct.pack_into("<H", head, 32768 + 128, 2048)
    return bytes(head)
