"""Guests and images for tests of drivers: each builder says what matters and defaults the rest."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from services.compute.core.guests import BlankDisk, GuestImage, GuestSpec
from services.compute.core.hardware import hardware_of
from services.compute.drivers.libvirt import LibvirtOptions


@contextmanager
def a_place() -> Iterator[Path]:
    """A directory that guests' accounts can pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="pileus-test-", dir="/var/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def an_image_file(directory: Path, *, mib: int = 64, name: str = "image") -> Path:
    """An empty disk: a guest of it sits in its firmware, which is enough for most tests."""
    path = directory / name
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), f"{mib}M"], check=True)
    path.chmod(0o444)
    return path


def an_image(data: bytes = b"", *, disk_format: str = "qcow2") -> GuestImage:
    return GuestImage(
        id=uuid4(), sha512=hashlib.sha512(data).hexdigest(), size_bytes=len(data), disk_format=disk_format
    )


def a_spec(
    *,
    name: str = "web",
    root_gib: int = 1,
    memory_mib: int = 128,
    disk_format: str = "qcow2",
    config_drive: dict[str, str] | None = None,
    properties: dict[str, str] | None = None,
    extra_specs: dict[str, str] | None = None,
    disks: tuple[BlankDisk, ...] = (),
) -> GuestSpec:
    return GuestSpec(
        server_id=uuid4(),
        name=name,
        project_id=uuid4().hex,
        user_id=uuid4().hex,
        flavor="m1.tiny",
        vcpus=1,
        memory_mib=memory_mib,
        root_gib=root_gib,
        image=an_image(disk_format=disk_format),
        config_drive=config_drive,
        hardware=hardware_of(properties or {}, extra_specs or {}),
        disks=disks,
    )


def libvirt_options(
    place: Path, *, uri: str = "qemu:///system", host: str = "host-1", cloud_id: str | None = None
) -> LibvirtOptions:
    return LibvirtOptions(
        uri=uri,
        host=host,
        address="127.0.0.1",
        cloud_id=cloud_id or str(uuid4()),
        storage=place / "guests",
        virt_type="qemu",
        uid_claims=place / "uids",
    )


def eventually(condition: Callable[[], bool], *, within_s: float = 90) -> bool:
    """True as soon as the condition holds, False if it doesn't in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
