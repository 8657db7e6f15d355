"""What libvirt is told about a guest: a typed description, and the one place that turns it into XML.

Format: https://libvirt.org/formatdomain.html.  A guest has no device that it doesn't need: no floppy, sound, USB,
graphics.  Its names are data; what XML can't hold is replaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from lxml import etree

from services.compute.core.guests import GuestSpec

NAMESPACE = "urn:pileus:guest:1"
ROOT_PORTS = 16  # PCIe; those that no device uses are free for what is plugged in later
LONGEST_NAME = 255
# Characters outside XML 1.0's "Char" production
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose guest a domain is; kept in its metadata."""

    cloud_id: str
    host: str
    server_id: UUID
    name: str = ""
    project_id: str = ""
    user_id: str = ""
    flavor: str = ""
    build: str = ""

    @classmethod
    def of(cls, spec: GuestSpec, *, cloud_id: str, host: str) -> Identity:
        return cls(cloud_id, host, spec.server_id, spec.name, spec.project_id, spec.user_id, spec.flavor, spec.build)

    @property
    def domain_name(self) -> str:
        return f"pileus-{self.server_id.hex[:12]}"


@dataclass(frozen=True, slots=True)
class Machine:
    """The virtual board: the same in every guest that a host makes."""

    virt_type: str  # "kvm", "qemu", "test"
    board: str  # pinned, such as pc-q35-7.2: "q35" would change under a guest with the next qemu
    architecture: str
    emulator: str | None

    @property
    def runs_qemu(self) -> bool:
        return self.virt_type != "test"


@dataclass(frozen=True, slots=True)
class RootDisk:
    path: Path
    image: Path
    image_format: str


@dataclass(frozen=True, slots=True)
class DomainPlan:
    identity: Identity
    machine: Machine
    vcpus: int
    memory_mib: int
    root: RootDisk
    config_drive: Path | None
    console_log: Path
    account: int | None  # uid and gid of the guest's qemu; None where there is no qemu


def domain_xml(plan: DomainPlan) -> str:
    domain = etree.Element("domain", type=plan.machine.virt_type)
    _add(domain, "name", plan.identity.domain_name)
    _add(domain, "uuid", str(plan.identity.server_id))
    _add(domain, "title", " ".join(xml_text(plan.identity.name).split()))
    _add(domain, "metadata").append(_metadata(plan.identity))
    _add(domain, "memory", str(plan.memory_mib), unit="MiB")
    _add(domain, "vcpu", str(plan.vcpus))
    _board(domain, plan)
    _devices(_add(domain, "devices"), plan)
    if plan.account is not None:
        domain.append(account_label(plan.account))
    return etree.tostring(domain, encoding="unicode")


def account_label(account: int) -> etree._Element:
    """Run qemu as this uid and gid, and give it its own disk for as long as it runs."""
    label = etree.Element("seclabel", type="static", model="dac", relabel="yes")
    _add(label, "label", f"+{account}:+{account}")
    return label


def xml_text(text: str) -> str:
    """`text` with what XML can't hold replaced, at a length that libvirt takes."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text[:LONGEST_NAME])


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
    """File names of the images that a domain's disks are based on."""
    sources = parse(domain).iterfind("devices/disk//backingStore/source")
    return {Path(path).name for source in sources if (path := source.get("file"))}


def _metadata(identity: Identity) -> etree._Element:
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


def _board(domain: etree._Element, plan: DomainPlan) -> None:
    machine, server_id = plan.machine, str(plan.identity.server_id)
    os = _add(domain, "os")
    _add(os, "type", "hvm", arch=machine.architecture, machine=machine.board)
    if machine.runs_qemu:
        _add(os, "smbios", mode="sysinfo")
        system = _add(_add(domain, "sysinfo", type="smbios"), "system")
        _add(system, "entry", "Pileus", name="manufacturer")
        _add(system, "entry", "OpenStack Compute", name="product")  # by this cloud-init knows where to ask
        _add(system, "entry", server_id, name="uuid")
        features = _add(domain, "features")
        _add(features, "acpi")
        _add(features, "apic")
        _add(domain, "cpu", mode="host-model" if machine.virt_type == "kvm" else "maximum")
    _add(domain, "clock", offset="utc")
    _add(domain, "on_poweroff", "destroy")
    _add(domain, "on_reboot", "restart")
    _add(domain, "on_crash", "destroy")


def _devices(devices: etree._Element, plan: DomainPlan) -> None:
    if plan.machine.emulator:
        _add(devices, "emulator", plan.machine.emulator)
    serial = plan.identity.server_id.hex[:20]  # virtio-blk shows 20 bytes
    root_disk(devices, plan.root, serial=serial, is_labelled=plan.account is not None)
    if plan.config_drive:
        _config_drive(devices, plan.config_drive)
    _add(devices, "controller", type="usb", model="none")
    if "q35" in plan.machine.board:
        _add(devices, "controller", type="pci", index="0", model="pcie-root")
        for _ in range(ROOT_PORTS):
            _add(devices, "controller", type="pci", model="pcie-root-port")
    _console(devices, plan.console_log)
    _add(_add(devices, "channel", type="unix"), "target", type="virtio", name="org.qemu.guest_agent.0")
    _add(_add(devices, "video"), "model", type="none")
    _add(_add(devices, "memballoon", model="virtio"), "stats", period="10")
    _add(_add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")


def root_disk(devices: etree._Element, root: RootDisk, *, serial: str, is_labelled: bool) -> None:
    """The disk that a guest starts from."""
    disk = _add(devices, "disk", type="file", device="disk")
    _add(disk, "driver", name="qemu", type="qcow2", discard="unmap")
    _add(disk, "source", file=str(root.path))
    backing = _add(disk, "backingStore", type="file")
    _add(backing, "format", type=root.image_format)
    source = _add(backing, "source", file=str(root.image))
    if is_labelled:  # the image is everybody's: given to one guest's account, that guest could change it
        _add(source, "seclabel", model="dac", relabel="no")
    _add(backing, "backingStore")  # the chain ends here, whatever the image says
    _add(disk, "target", dev="vda", bus="virtio")
    _add(disk, "serial", serial)
    _add(disk, "boot", order="1")


def _config_drive(devices: etree._Element, path: Path) -> None:
    disk = _add(devices, "disk", type="file", device="disk")
    _add(disk, "driver", name="qemu", type="raw")
    _add(disk, "source", file=str(path))
    _add(disk, "target", dev="vdz", bus="virtio")
    _add(disk, "readonly")
    _add(disk, "serial", "config-2")


def _console(devices: etree._Element, log: Path) -> None:
    serial = _add(devices, "serial", type="pty")
    _add(serial, "log", file=str(log), append="on")
    _add(serial, "target", port="0")
    _add(_add(devices, "console", type="pty"), "target", type="serial", port="0")


def _add(parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> etree._Element:
    child = etree.SubElement(parent, tag, attributes)
    child.text = text
    return child


def parse(xml: str) -> etree._Element:
    return etree.fromstring(xml.encode(), etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
