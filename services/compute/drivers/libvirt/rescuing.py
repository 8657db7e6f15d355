"""Start a guest from another disk, its own beside it; its own description is kept to come back to.

As in Nova, an image that says what the rescue disk is to be (`hw_rescue_device`, `hw_rescue_bus`) leaves the guest as it is
and adds that disk.  Any other image gets the hardware that it asks for, with its disk first and the guest's own behind it.
"""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase

import libvirt
from lxml import etree

from services.compute.core.hardware import Hardware
from services.compute.core.hardware.devices import DISK_PREFIX
from services.compute.drivers.libvirt.buses import cdrom_bus
from services.compute.drivers.libvirt.disk_devices import FIRST, SECOND, cdrom, root_disk
from services.compute.drivers.libvirt.elements import Element, add, parse
from services.compute.drivers.libvirt.plans import DomainPlan, RootDisk
from services.compute.drivers.libvirt.processors import add_limits
from services.compute.drivers.libvirt.refitting import have_controllers, refit, replug

WHOLE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
RESCUE = "rescue"  # serial number of the disk
CDROM = "cdrom"


def is_rescued(domain: libvirt.virDomain, kept: Path) -> bool:
    """Whether it starts from a rescue disk."""
    return kept.exists() and any(
        _order(disk) == FIRST and disk.findtext("serial") == RESCUE
        for disk in parse(domain.XMLDesc(WHOLE)).iterfind("devices/disk")
    )


def start_rescue(domain: libvirt.virDomain, kept: Path, plan: DomainPlan) -> None:
    """`plan` tells of the guest in its rescue: its root is the rescue disk, or its CD-ROM is."""
    own = domain.XMLDesc(WHOLE)
    if not kept.exists():  # else this was done before, up to here
        kept.touch(mode=0o600)
        kept.write_text(own)
    description = parse(own)
    devices = description.find("devices")
    if devices is None:
        return
    if keeps_hardware(plan.hardware):
        have_controllers(devices, plan)
    else:
        refit(description, plan)
        replug(description, plan.hardware.devices, plan.hardware.board.family, first=1)
    _own_after(description)
    _add_rescue_disk(devices, plan)
    add_limits(description, plan.hardware)
    domain.connect().defineXML(etree.tostring(description, encoding="unicode"))


def end_rescue(domain: libvirt.virDomain, kept: Path) -> None:
    """Twice is once."""
    if kept.exists():
        domain.connect().defineXML(kept.read_text())
        kept.unlink(missing_ok=True)


def keeps_hardware(hardware: Hardware) -> bool:
    return hardware.devices.rescue_device is not None or hardware.devices.rescue_bus is not None


def _own_after(description: Element) -> None:
    for disk in description.iterfind("devices/disk"):
        if (boot := disk.find("boot")) is not None:
            disk.remove(boot)
        source = disk.find("source")
        if source is not None and source.get("file", "").endswith(".root.qcow2"):
            add(disk, "boot", order=SECOND)


def _add_rescue_disk(devices: Element, plan: DomainPlan) -> None:
    wanted, is_labelled = plan.hardware.devices, plan.account is not None
    if plan.cdrom is not None:
        bus = wanted.rescue_bus or cdrom_bus(wanted, plan.hardware.board.family)
        disk = cdrom(devices, plan.cdrom, _free_name(devices, bus), bus=bus, is_labelled=is_labelled)
        add(disk, "serial", RESCUE)
        add(disk, "boot", order=FIRST)
        return
    bus = wanted.rescue_bus or wanted.bus
    name = _free_name(devices, bus)
    disk = root_disk(devices, plan.root, serial=RESCUE, bus=bus, name=name, is_labelled=is_labelled)
    disk.set("device", CDROM if wanted.rescue_device == CDROM else "disk")
    if wanted.rescue_device == CDROM:
        add(disk, "readonly")
        if (driver := disk.find("driver")) is not None:
            driver.attrib.pop("discard")


def _free_name(devices: Element, bus: str) -> str:
    taken = {target.get("dev") for target in devices.iterfind("disk/target")}
    return next(name for letter in ascii_lowercase if (name := DISK_PREFIX[bus] + letter) not in taken)


def _order(disk: Element) -> str | None:
    boot = disk.find("boot")
    return None if boot is None else boot.get("order")


def no_root() -> RootDisk:
    """Of a guest that is rescued from a CD-ROM."""
    return RootDisk(Path("/nonexistent"), None)
