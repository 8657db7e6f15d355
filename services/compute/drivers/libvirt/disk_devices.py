"""The disks of a guest, as libvirt is told of them."""

from __future__ import annotations

from pathlib import Path

from services.compute.core.hardware import Devices
from services.compute.drivers.libvirt.blank_devices import blank_disk, blank_names
from services.compute.drivers.libvirt.buses import (
    NEVER_READ_ONLY,
    cdrom_bus,
    cdrom_name,
    config_drive_name,
    disk_name,
    plug,
)
from services.compute.drivers.libvirt.elements import Element, add
from services.compute.drivers.libvirt.plans import DomainPlan, RootDisk

FIRST, SECOND = "1", "2"  # in the order of what a guest is started from


def add_disks(devices: Element, plan: DomainPlan) -> None:
    """Its own first: a CD-ROM is what it starts from until something is installed."""
    wanted, is_labelled = plan.hardware.devices, plan.account is not None
    serial = plan.identity.server_id.hex[:20]  # virtio-blk shows 20 bytes
    disk = root_disk(devices, plan.root, serial=serial, bus=wanted.bus, is_labelled=is_labelled)
    _pack(disk, wanted)
    for name, blank in zip(blank_names(plan.blanks, wanted.bus), plan.blanks, strict=True):
        _pack(blank_disk(devices, blank, name, bus=wanted.bus), wanted)
    if plan.config_drive:
        _pack(_config_drive(devices, plan.config_drive, wanted), wanted)
    if plan.cdrom:
        bus = cdrom_bus(wanted, plan.hardware.board.family)
        name = cdrom_name(bus, beside={wanted.bus, *plan.blank_buses})
        drive = cdrom(devices, plan.cdrom, name, bus=bus, is_labelled=is_labelled)
        add(drive, "boot", order=SECOND)


def root_disk(
    devices: Element, root: RootDisk, *, serial: str, is_labelled: bool, bus: str = "virtio", name: str | None = None
) -> Element:
    """The disk that a guest starts from."""
    disk = add(devices, "disk", type="file", device="disk")
    add(disk, "driver", name="qemu", type="qcow2", discard="unmap")
    add(disk, "source", file=str(root.path))
    _base(disk, root, is_labelled=is_labelled)
    plug(disk, bus, name or disk_name(bus, 0))
    add(disk, "serial", serial)
    add(disk, "boot", order=FIRST)
    return disk


def _base(disk: Element, root: RootDisk, *, is_labelled: bool) -> None:
    if root.image is None:
        add(disk, "backingStore")
        return
    backing = add(disk, "backingStore", type="file")
    add(backing, "format", type=root.image_format)
    source = add(backing, "source", file=str(root.image))
    if is_labelled:
        _keep_owner(source)
    add(backing, "backingStore")  # the chain ends here, whatever the image says


def cdrom(devices: Element, image: Path, name: str, *, bus: str, is_labelled: bool) -> Element:
    disk = add(devices, "disk", type="file", device="cdrom")
    add(disk, "driver", name="qemu", type="raw")
    source = add(disk, "source", file=str(image))
    if is_labelled:
        _keep_owner(source)
    plug(disk, bus, name)
    add(disk, "readonly")
    return disk


def _keep_owner(source: Element) -> None:
    """The image is everybody's: given to one guest's account, that guest could change it."""
    add(source, "seclabel", model="dac", relabel="no")


def _config_drive(devices: Element, path: Path, wanted: Devices) -> Element:
    """A guest that can read its root disk can read it, too."""
    disk = add(devices, "disk", type="file", device="cdrom" if wanted.bus in NEVER_READ_ONLY else "disk")
    add(disk, "driver", name="qemu", type="raw")
    add(disk, "source", file=str(path))
    plug(disk, wanted.bus, config_drive_name(wanted.bus))
    add(disk, "readonly")
    add(disk, "serial", "config-2")
    return disk


def _pack(disk: Element, wanted: Devices) -> None:
    driver = disk.find("driver")
    if wanted.has_packed_ring and disk.find("target[@bus='virtio']") is not None and driver is not None:
        driver.set("packed", "on")
