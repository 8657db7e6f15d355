"""The disks that a guest has besides its root, as libvirt is told of them."""

from __future__ import annotations

from collections.abc import Sequence

from services.compute.core.local_disks import names_on
from services.compute.drivers.libvirt.blank_disks import BlankFile
from services.compute.drivers.libvirt.buses import plug
from services.compute.drivers.libvirt.elements import Element, add


def blank_names(blanks: Sequence[BlankFile], bus: str) -> list[str]:
    """Of their devices: they follow the root disk, which is on `bus`."""
    return names_on([blank.bus or bus for blank in blanks], root=bus)


def blank_disk(devices: Element, blank: BlankFile, name: str, *, bus: str) -> Element:
    disk = add(devices, "disk", type="file", device="disk")
    add(disk, "driver", name="qemu", type=blank.format, discard="unmap")
    add(disk, "source", file=str(blank.path))
    add(disk, "backingStore")  # it is based on nothing, whatever its guest makes of it
    plug(disk, blank.bus or bus, name)
    add(disk, "serial", blank.label)
    return disk
