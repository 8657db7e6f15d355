"""Images made to harm, byte by byte.  Layouts: docs/interop/qcow2.txt and block/{vmdk,vdi,vpc}.c of QEMU."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Mapping
from typing import Any
from uuid import UUID

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


Member = bytes | tarfile.TarInfo


def a_tar(members: Mapping[str, Member]) -> bytes:
    """Regular files, and whatever else is given as a header."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, member in members.items():
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            header = tarfile.TarInfo(name)
            header.size = len(member)
            tar.addfile(header, io.BytesIO(member))
    return made.getvalue()


def a_header(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, link
    return header


def an_ovf(*files: str, more: str = "", attributes: str = "") -> bytes:
    """Describes these files, all of them disks."""
    references = "".join(f'<File ovf:id="f{at}" ovf:href="{name}" {attributes}/>' for at, name in enumerate(files))
    disks = "".join(f'<Disk ovf:diskId="d{at}" ovf:fileRef="f{at}"/>' for at, _ in enumerate(files))
    return (
        '<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" '
        'xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">'
        f"<References>{references}</References><DiskSection>{disks}</DiskSection>{more}</Envelope>"
    ).encode()


def an_ova(disk: bytes | None = None, *, ovf: bytes | None = None, more: Mapping[str, Member] | None = None) -> bytes:
    members: dict[str, Member] = {"vm.ovf": an_ovf("disk.vmdk") if ovf is None else ovf}
    return a_tar(members | {"disk.vmdk": a_sparse_vmdk() if disk is None else disk} | dict(more or {}))


LAYER = b"a layer, as far as anybody looks"


def a_saved_container(*, manifest: Any = None, more: Mapping[str, Member] | None = None) -> bytes:
    """What `docker save` wrote before it spoke OCI."""
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]}] if manifest is None else manifest
    members = {"c.json": b"{}", "l/layer.tar": LAYER, "manifest.json": json.dumps(manifest).encode()}
    return a_tar(members | dict(more or {}))


def a_layout(*, layer: Mapping[str, Any] | None = None, about: Any = None, drop: str = "", **changes: Any) -> bytes:
    """An OCI layout; `layer` changes the descriptor of the layer, `changes` that of the image in the index."""
    blobs: dict[str, bytes] = {}

    def kept(data: bytes, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)} | more

    layers = [kept(LAYER) | dict(layer or {})]
    inner = {"schemaVersion": 2, "config": kept(b"{}"), "layers": layers}
    index = {"schemaVersion": 2, "manifests": [kept(json.dumps(inner).encode()) | changes]}
    said = {"imageLayoutVersion": "1.0.0"} if about is None else about
    members = {"oci-layout": json.dumps(said).encode(), "index.json": json.dumps(index).encode(), **blobs}
    return a_tar({name: data for name, data in members.items() if not drop or data != drop.encode()})


def a_vhdx(*, parent: bool = False) -> bytes:
    """Headers, one region table and the metadata of a dynamic disk; no blocks."""
    made = bytearray(4 << 20)
    made[:8] = b"vhdxfile"
    for at in (0x10000, 0x20000):
        made[at : at + 4] = b"head"
    bat, metadata = "2dc27766-f623-4200-9d64-115e9bfd4a08", "8b7ca206-4790-4b9a-b8fe-575f050f886e"
    for at in (0x30000, 0x40000):
        struct.pack_into("<4sIII", made, at, b"regi", 0, 2, 0)
        for entry, (region, where) in enumerate(((bat, 3 << 20), (metadata, 2 << 20))):
            struct.pack_into("<16sQII", made, at + 16 + 32 * entry, UUID(region).bytes_le, where, 1 << 20, 1)
    items = [("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", 1 << 30))]  # the size of the disk
    if parent:
        items.append(("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", bytes(20)))
    struct.pack_into("<8sHH", made, 2 << 20, b"metadata", 0, len(items))
    for number, (item, value) in enumerate(items):
        at = (2 << 20) + 32 * (number + 1)
        struct.pack_into("<16sIII", made, at, UUID(item).bytes_le, 0x10000 + 64 * number, len(value), 0)
        start = (2 << 20) + 0x10000 + 64 * number
        made[start : start + len(value)] = value
    return bytes(made)
