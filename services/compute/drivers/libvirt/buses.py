"""Where disks are plugged in, and what libvirt calls them there."""

from __future__ import annotations

from collections.abc import Collection
from string import ascii_lowercase

from services.compute.core.hardware import Devices
from services.compute.core.hardware.devices import DISK_PREFIX
from services.compute.drivers.libvirt.elements import Element, add

CONFIG_DRIVE_AT = {"virtio": "z", "scsi": "g", "sata": "f", "usb": "h", "ide": "d"}
"""Behind all others, among as many as one controller of the bus has room for."""

NEVER_READ_ONLY = ("sata", "ide")
"""Buses whose disks can all be written to; what must not be is a CD-ROM there."""


def disk_name(bus: str, at: int) -> str:
    """Of the disk at that place, counted from 0."""
    return DISK_PREFIX[bus] + ascii_lowercase[at]


def config_drive_name(bus: str) -> str:
    return DISK_PREFIX[bus] + CONFIG_DRIVE_AT[bus]


def cdrom_name(bus: str, *, beside: Collection[str]) -> str:
    """A place that no disk of the guest on the buses `beside` takes."""
    is_shared = DISK_PREFIX[bus] in {DISK_PREFIX[other] for other in beside}
    return disk_name(bus, 2 if bus == "ide" else 4 if is_shared else 0)


def plug(disk: Element, bus: str, name: str) -> None:
    """Have it there, wherever it was.  On SCSI each has a target of its own: not every controller knows more than one unit."""
    for old in (*disk.findall("target"), *disk.findall("address")):
        disk.remove(old)
    add(disk, "target", dev=name, bus=bus)
    if bus == "scsi":
        at = str(ascii_lowercase.index(name[-1]))
        add(disk, "address", type="drive", controller="0", bus="0", target=at, unit="0")


def cdrom_bus(devices: Devices, family: str) -> str:
    return devices.cdrom_bus or ("ide" if family == "pc" else "sata")
