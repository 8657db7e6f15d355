"""What libvirt is told about a guest: a typed description, and the one place that turns it into XML.

Format: https://libvirt.org/formatdomain.html.  A guest's names are data; what XML can't hold is replaced.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from lxml import etree

from services.compute.drivers.libvirt.devices import add_devices
from services.compute.drivers.libvirt.elements import Element, add, parse, xml_text
from services.compute.drivers.libvirt.firmware import add_board, add_clock
from services.compute.drivers.libvirt.plans import DomainPlan, Identity
from services.compute.drivers.libvirt.processors import add_limits, add_processors

NAMESPACE = "urn:pileus:guest:1"


def domain_xml(plan: DomainPlan) -> str:
    domain = etree.Element("domain", type=plan.machine.virt_type)
    add(domain, "name", plan.identity.domain_name)
    add(domain, "uuid", str(plan.identity.server_id))
    add(domain, "title", " ".join(xml_text(plan.identity.name).split()))
    add(domain, "metadata").append(_metadata(plan.identity))
    add_processors(domain, plan.processing, plan.hardware, vcpus=plan.vcpus, memory_mib=plan.memory_mib)
    add_board(domain, plan)
    add_clock(domain, plan)
    add_devices(add(domain, "devices"), plan)
    add_limits(domain, plan.hardware)
    if plan.account is not None:
        domain.append(account_label(plan.account))
    return etree.tostring(domain, encoding="unicode")


def account_label(account: int) -> Element:
    """Run qemu as this uid and gid, and give it its own disk for as long as it runs."""
    label = etree.Element("seclabel", type="static", model="dac", relabel="yes")
    add(label, "label", f"+{account}:+{account}")
    return label


def read_identity(metadata: str) -> Identity | None:
    """The identity in a domain's metadata element, None if it isn't one of ours."""
    root = parse(metadata)
    found = {etree.QName(child).localname: child.text or "" for child in root if isinstance(child.tag, str)}
    try:
        return Identity(
            cloud_id=found["cloud"],
            host=found["host"],
            server_id=UUID(found["server"]),
            name=found.get("name", ""),
            project_id=found.get("project", ""),
            user_id=found.get("user", ""),
            flavor=found.get("flavor", ""),
            build=found.get("build", ""),
        )
    except (KeyError, ValueError):
        return None


def read_images(domain: str) -> set[str]:
    """File names of the images that a domain's disks are based on, or that it has as CD-ROMs."""
    found = parse(domain)
    sources = [
        *found.iterfind("devices/disk//backingStore/source"),
        *found.iterfind("devices/disk[@device='cdrom']/source"),
    ]
    return {Path(path).name for source in sources if (path := source.get("file"))}


def _metadata(identity: Identity) -> Element:
    guest = etree.Element(etree.QName(NAMESPACE, "guest"), nsmap={"pileus": NAMESPACE})
    # fmt: off
    for tag, text in (
        ("cloud",   identity.cloud_id),
        ("host",    identity.host),
        ("server",  str(identity.server_id)),
        ("name",    identity.name),
        ("project", identity.project_id),
        ("user",    identity.user_id),
        ("flavor",  identity.flavor),
        ("build",   identity.build),
    ):
        etree.SubElement(guest, etree.QName(NAMESPACE, tag)).text = xml_text(text)
    # fmt: on
    return guest


def serial_line(domain: str) -> Path | None:
    """The device on the host that is the other end of a running guest's first serial line."""
    source = parse(domain).find("devices/serial[@type='pty']/source")
    path = None if source is None else source.get("path")
    return Path(path) if path else None
