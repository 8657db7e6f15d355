"""Give a guest that is off other hardware, and leave it its disks, network cards, processors and memory.

What stays keeps its address, so that the guest finds it where it was; on another board there is no such place any more.
"""

from __future__ import annotations

from lxml import etree

from services.compute.core.hardware import Devices
from services.compute.drivers.libvirt.buses import (
    NEVER_READ_ONLY,
    cdrom_bus,
    cdrom_name,
    config_drive_name,
    disk_name,
    plug,
)
from services.compute.drivers.libvirt.devices import add_fittings
from services.compute.drivers.libvirt.elements import Element, add
from services.compute.drivers.libvirt.firmware import add_board, add_clock
from services.compute.drivers.libvirt.plans import DomainPlan

BOARD = ("os", "sysinfo", "features", "clock")
FITTINGS = (
    *(
        "serial",
        "console",
        "channel",
        "input",
        "graphics",
        "audio",
        "video",
        "sound",
        "watchdog",
        "rng",
        "redirdev",
        "iommu",
    ),
    "memballoon",
)
OWN_CONTROLLERS = ("usb", "scsi")
CONFIG_DRIVE = "config-2"  # its serial number


def refit(description: Element, plan: DomainPlan) -> None:
    fresh = etree.Element("domain")
    add_board(fresh, plan)
    add_clock(fresh, plan)
    add_fittings(add(fresh, "devices"), plan)
    is_other_board = _board(description) != _board(fresh)
    for tag in BOARD:
        _replace(description, fresh, tag)
    if (devices := description.find("devices")) is not None and (new := fresh.find("devices")) is not None:
        _exchange(devices, new, all_controllers=is_other_board)
        if is_other_board:
            _forget_addresses(devices)


def have_controllers(devices: Element, plan: DomainPlan) -> None:
    """What disks of the plan's are plugged into; those that are there stay."""
    fresh = etree.Element("devices")
    add_fittings(fresh, plan)
    for new in fresh.findall("controller"):
        kind = new.get("type")
        had = devices.findall(f"controller[@type='{kind}']")
        if kind not in OWN_CONTROLLERS or any(one.get("model") != "none" for one in had):
            continue
        for one in had:
            devices.remove(one)
        devices.append(new)


def _board(description: Element) -> str | None:
    kind = description.find("os/type")
    return None if kind is None else kind.get("machine")


def _replace(description: Element, fresh: Element, tag: str) -> None:
    old, new = description.find(tag), fresh.find(tag)
    if old is not None:
        description.remove(old)
    if new is not None:
        description.append(new)


def _exchange(devices: Element, new: Element, *, all_controllers: bool) -> None:
    def is_ours(device: Element) -> bool:
        if device.tag == "controller":
            return all_controllers or device.get("type") in OWN_CONTROLLERS
        return device.tag in FITTINGS

    for device in [one for one in devices if is_ours(one)]:
        devices.remove(device)
    devices.extend([one for one in new if is_ours(one)])


def _forget_addresses(devices: Element) -> None:
    for device in devices:
        for address in device.findall("address[@type='pci']"):
            device.remove(address)


def replug(description: Element, wanted: Devices, family: str, *, first: int) -> None:
    """Move all disks to the buses that `wanted` says; the first of them is the bus's disk number `first`."""
    disks = [disk for disk in description.iterfind("devices/disk") if not _is_config_drive(disk)]
    for at, disk in enumerate((one for one in disks if one.get("device") == "disk"), start=first):
        plug(disk, wanted.bus, disk_name(wanted.bus, at))
    for disk in description.iterfind("devices/disk"):
        if _is_config_drive(disk):
            disk.set("device", "cdrom" if wanted.bus in NEVER_READ_ONLY else "disk")
            plug(disk, wanted.bus, config_drive_name(wanted.bus))
    for disk in (one for one in disks if one.get("device") == "cdrom"):
        bus = cdrom_bus(wanted, family)
        plug(disk, bus, cdrom_name(bus, beside=(wanted.bus,)))


def _is_config_drive(disk: Element) -> bool:
    return disk.findtext("serial") == CONFIG_DRIVE
