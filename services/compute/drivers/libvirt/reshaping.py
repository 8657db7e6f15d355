"""Change what a guest that is off is made of: its size, and the disk that it starts from.

Before a resize libvirt takes a snapshot of the guest: its description, and within its qcow2 disk the contents and size of
then.  That costs nothing, and reverting to it is exact, however the disk grew or was written to meanwhile.
"""

from __future__ import annotations

import libvirt
from lxml import etree

from services.compute.core.guests import GuestSize
from services.compute.drivers.libvirt.domains import NAMESPACE, RootDisk, parse, root_disk
from services.compute.drivers.libvirt.errors import ignoring, is_about

SNAPSHOT = "before-resize"
WHOLE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
ROOT, SECOND = "vda", "vdb"


def keep_way_back(domain: libvirt.virDomain) -> None:
    if _snapshot(domain) is None:
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


def give_size(domain: libvirt.virDomain, size: GuestSize) -> None:
    description = parse(domain.XMLDesc(WHOLE))
    for tag in ("memory", "currentMemory"):
        if (element := description.find(tag)) is not None:
            element.text, element.attrib["unit"] = str(size.memory_mib), "MiB"
    if (vcpus := description.find("vcpu")) is not None:
        vcpus.text = str(size.vcpus)
        vcpus.attrib.pop("current", "")
    if (flavor := description.find(f"metadata/{{{NAMESPACE}}}guest/{{{NAMESPACE}}}flavor")) is not None:
        flavor.text = size.flavor
    _define(domain, description)


def starts_from(domain: libvirt.virDomain, file: str) -> bool:
    """Whether its first disk is that file."""
    first = _disk(parse(domain.XMLDesc(WHOLE)), ROOT)
    return first is not None and _file(first) == file


def start_from(domain: libvirt.virDomain, rescue: RootDisk, *, is_labelled: bool) -> None:
    """Put the rescue disk first; the guest's own becomes the second."""
    description = parse(domain.XMLDesc(WHOLE))
    devices = description.find("devices")
    own = _disk(description, ROOT)
    if devices is None or own is None:
        return
    _place(own, SECOND, order="2")
    root_disk(devices, rescue, serial="rescue", is_labelled=is_labelled)
    _define(domain, description)


def start_from_own(domain: libvirt.virDomain, rescue_file: str) -> None:
    description = parse(domain.XMLDesc(WHOLE))
    devices, rescue, own = description.find("devices"), _disk(description, ROOT), _disk(description, SECOND)
    if devices is None or rescue is None or own is None or _file(rescue) != rescue_file:
        return
    devices.remove(rescue)
    _place(own, ROOT, order="1")
    _define(domain, description)


def _snapshot(domain: libvirt.virDomain) -> libvirt.virDomainSnapshot | None:
    try:
        return domain.snapshotLookupByName(SNAPSHOT)
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
            return None
        raise


def _define(domain: libvirt.virDomain, description: etree._Element) -> None:
    domain.connect().defineXML(etree.tostring(description, encoding="unicode"))


def _disk(description: etree._Element, name: str) -> etree._Element | None:
    return next(
        (disk for disk in description.iterfind("devices/disk") if disk.find(f"target[@dev='{name}']") is not None), None
    )


def _file(disk: etree._Element) -> str | None:
    source = disk.find("source")
    return None if source is None else source.get("file")


def _place(disk: etree._Element, name: str, *, order: str) -> None:
    if (target := disk.find("target")) is not None:
        target.attrib["dev"] = name
    if (boot := disk.find("boot")) is not None:
        boot.attrib["order"] = order
