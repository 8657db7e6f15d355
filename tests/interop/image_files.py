"""Image files of every format for Tempest's tests of formats, made on the spot, and the manifest that names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.harness.clouds import run
from tests.security.image.crafted import CLUSTER, a_qcow2, a_vmdk_descriptor

MANIFEST = "manifest.yaml"
DATA_FILE = 0x44415441


@dataclass(frozen=True, slots=True)
class ImageFile:
    """As in the os-test-images project: a name, the format that it is declared with, and whether it may be used."""

    name: str
    format: str
    make: Callable[[Path], None]
    is_usable: bool = True


def by_qemu(qemu_format: str, *options: str) -> Callable[[Path], None]:
    more = ("-o", ",".join(options)) if options else ()

    def make(path: Path) -> None:
        run("qemu-img", "convert", "-f", "raw", "-O", qemu_format, *more, str(_disk(path)), str(path))

    return make


def of_bytes(data: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data)

    return make


def _disk(beside: Path) -> Path:
    """A raw disk that has nothing of a boot sector."""
    disk = beside.with_name("disk")
    if not disk.exists():
        disk.write_bytes(b"some text of a disk ".ljust(512) * 2048)
    return disk


def _raw(path: Path) -> None:
    path.write_bytes(_disk(path).read_bytes())


def _gpt(path: Path) -> None:
    path.write_bytes(bytes(2 << 20))
    run("sh", "-c", f"echo 'label: gpt' | sfdisk -q {path}")


def _iso(path: Path) -> None:
    run("genisoimage", "-quiet", "-V", "a-disc", "-o", str(path), str(_disk(path)))


FILES = (
    ImageFile("raw", "raw", _raw),
    ImageFile("gpt", "gpt", _gpt),
    ImageFile("iso", "iso", _iso),
    ImageFile("qcow2", "qcow2", by_qemu("qcow2")),
    ImageFile("qcow2-version-2", "qcow2", by_qemu("qcow2", "compat=0.10")),
    ImageFile("vmdk-sparse", "vmdk", by_qemu("vmdk", "subformat=monolithicSparse")),
    ImageFile("vmdk-stream", "vmdk", by_qemu("vmdk", "subformat=streamOptimized")),
    ImageFile("vdi", "vdi", by_qemu("vdi")),
    ImageFile("vhd", "vhd", by_qemu("vpc")),
    ImageFile("vhdx", "vhdx", by_qemu("vhdx")),
    ImageFile("unsafe-qcow2-backing", "qcow2", of_bytes(a_qcow2(backing=b"/etc/passwd")), is_usable=False),
    ImageFile(
        "unsafe-qcow2-data-file",
        "qcow2",
        of_bytes(a_qcow2(incompatible=1 << 2, extensions=((DATA_FILE, b"/etc/shadow"),)).ljust(5 * CLUSTER)),
        is_usable=False,
    ),
    ImageFile(
        "unsafe-vmdk-flat",
        "vmdk",
        of_bytes(a_vmdk_descriptor("monolithicFlat", 'RW 20480 FLAT "/etc/hosts" 0')),
        is_usable=False,
    ),
)


def write(folder: Path) -> Path:
    """The manifest, with the files beside it."""
    folder.mkdir()
    for one in FILES:
        one.make(folder / one.name)
    manifest = folder / MANIFEST
    listed = [{"name": one.name, "filename": one.name, "format": one.format, "usable": one.is_usable} for one in FILES]
    manifest.write_text(yaml.safe_dump({"images": listed}))
    return manifest
