"""Change the size of a guest that is off, and with it the hardware that its flavor asks for.

Before a resize libvirt takes a snapshot of the guest: its description, and within its qcow2 disk the contents and size of
then.  That costs nothing, and reverting to it is exact, however the disk grew or was written to meanwhile.  Swap is no part
of it: it has nothing to keep, and libvirt takes no snapshot of a guest whose disks are not all qcow2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import libvirt
from lxml import etree

from services.compute.core.guests import DiskKind, GuestSize
from services.compute.core.hardware import Hardware
from services.compute.drivers.libvirt.blank_devices import blank_disk, blank_names
from services.compute.drivers.libvirt.blank_disks import BlankFile
from services.compute.drivers.libvirt.domains import NAMESPACE
from services.compute.drivers.libvirt.elements import parse, xml_text
from services.compute.drivers.libvirt.errors import ignoring, is_about
from services.compute.drivers.libvirt.plans import DomainPlan, Processing
from services.compute.drivers.libvirt.processors import add_limits, add_processors
from services.compute.drivers.libvirt.refitting import refit

SNAPSHOT = "before-resize"
WHOLE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE


def keep_way_back(domain: libvirt.virDomain) -> None:
    """Swap is taken away for it."""
    if _snapshot(domain) is None:
        give_blanks(domain, [blank for blank in blanks_of(domain) if blank.kind is DiskKind.EPHEMERAL])
        domain.snapshotCreateXML(f"<domainsnapshot><name>{SNAPSHOT}</name></domainsnapshot>", 0)


def has_way_back(domain: libvirt.virDomain) -> bool:
    return _snapshot(domain) is not None


def take_way_back(domain: libvirt.virDomain) -> None:
    snapshot = _snapshot(domain)
    if snapshot is not None:
        domain.revertToSnapshot(snapshot, 0)
        snapshot.delete(0)


def forget_way_back(domain: libvirt.virDomain) -> None:
    snapshot = _snapshot(domain)
    if snapshot is not None:
        with ignoring(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
            snapshot.delete(0)


def give_size(
    domain: libvirt.virDomain, size: GuestSize, processing: Processing, hardware: Hardware, plan: DomainPlan | None
) -> None:
    """`plan`: with the board and devices of this one."""
    description = parse(domain.XMLDesc(WHOLE))
    add_processors(description, processing, hardware, vcpus=size.vcpus, memory_mib=size.memory_mib)
    if plan is not None:
        refit(description, plan)
    add_limits(description, hardware)
    if (flavor := description.find(f"metadata/{{{NAMESPACE}}}guest/{{{NAMESPACE}}}flavor")) is not None:
        flavor.text = xml_text(size.flavor)
    _define(domain, description)


def give_blanks(domain: libvirt.virDomain, blanks: Sequence[BlankFile]) -> None:
    """Have these disks besides its root, and no others of their kind: where one was, the new one takes its place."""
    description = parse(domain.XMLDesc(WHOLE))
    if (devices := description.find("devices")) is None or blanks_of(domain) == list(blanks):
        return
    bus = _root_bus(description)
    had = {_name(disk): disk for disk in description.iterfind("devices/disk") if _is_blank(disk)}
    wanted = dict(zip(blank_names(blanks, bus), blanks, strict=True))
    for name, disk in had.items():
        if name not in wanted:
            devices.remove(disk)
    for name, blank in wanted.items():
        disk = blank_disk(devices, blank, name, bus=bus)
        if name in had:
            _take_place(disk, had[name])
    _define(domain, description)


def _root_bus(description: etree._Element) -> str:
    target = description.find("devices/disk/boot[@order='1']/../target")
    return "virtio" if target is None else target.get("bus", "virtio")


def blanks_of(domain: libvirt.virDomain) -> list[BlankFile]:
    """What it has of them now."""
    disks = parse(domain.XMLDesc(WHOLE)).iterfind("devices/disk")
    return [_blank(disk, file) for disk in disks if _is_blank(disk) and (file := _file(disk))]


def _blank(disk: etree._Element, file: str) -> BlankFile:
    label, target = disk.findtext("serial", ""), disk.find("target")
    kind = DiskKind.SWAP if label == "swap" else DiskKind.EPHEMERAL
    return BlankFile(Path(file), label, kind, None if target is None else target.get("bus"))


def board_of(domain: libvirt.virDomain) -> str:
    """The machine type that it was made with, and stays with."""
    kind = parse(domain.XMLDesc(WHOLE)).find("os/type")
    return "" if kind is None else kind.get("machine", "")


def _snapshot(domain: libvirt.virDomain) -> libvirt.virDomainSnapshot | None:
    try:
        return domain.snapshotLookupByName(SNAPSHOT)
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
            return None
        raise


def _define(domain: libvirt.virDomain, description: etree._Element) -> None:
    domain.connect().defineXML(etree.tostring(description, encoding="unicode"))


def _file(disk: etree._Element) -> str | None:
    source = disk.find("source")
    return None if source is None else source.get("file")


def _name(disk: etree._Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def _is_blank(disk: etree._Element) -> bool:
    return bool(re.fullmatch(r"swap|ephemeral\d+", disk.findtext("serial", "")))


def _take_place(disk: etree._Element, of: etree._Element) -> None:
    """So that the guest finds it where the other one was."""
    for address in disk.findall("address"):
        disk.remove(address)
    disk.extend(of.iterfind("address"))
    if (parent := of.getparent()) is not None:
        parent.replace(of, disk)
