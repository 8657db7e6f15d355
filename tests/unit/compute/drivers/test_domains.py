from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import GuestSpec
from services.compute.drivers.libvirt.domains import NAMESPACE, domain_xml, read_identity, read_images, serial_line
from services.compute.drivers.libvirt.machines import SCREENS
from services.compute.drivers.libvirt.placing import cpu_mode
from services.compute.drivers.libvirt.plans import DomainPlan, Identity, Machine, Processing, RootDisk
from services.compute.drivers.libvirt.screens import graphics_index
from tests.unit.compute.drivers.builders import a_spec, libvirt_options

HOSTILE = (
    'a"/><devices><disk/></devices>',
    "</name></domain>",
    "]]><!--",
    "two\r\nlines",
    "nul\0and\x1b[31m",
    "\ud800 alone",
    "\u202ertl \U0001f600",
    "%n {{7*7}} $(id) `id`",
    "../../etc/passwd",
    "x" * 1_000_000,
)


def a_plan(spec: GuestSpec, *, virt_type: str = "qemu", config_drive: Path | None = None) -> DomainPlan:
    machine = Machine(virt_type, "pc-q35-7.2", "x86_64", "/usr/bin/qemu-system-x86_64", SCREENS)
    return DomainPlan(
        identity=Identity.of(spec, cloud_id="c1", host="h1"),
        machine=machine,
        processing=Processing(cpu_mode(libvirt_options(Path("/s")), machine)),
        vcpus=spec.vcpus,
        memory_mib=spec.memory_mib,
        hardware=spec.hardware,
        root=RootDisk(Path("/s/disk"), Path("/s/image"), "qcow2"),
        config_drive=config_drive,
        console_log=Path("/s/log"),
        account=1234,
    )


def shape(xml: str) -> list[str]:
    return [str(element.tag) for element in etree.fromstring(xml.encode()).iter()]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_adds_no_node_whatever_it_is(text: str) -> None:
    plain = a_spec()
    hostile = plain.model_copy(update={"name": text, "flavor": text, "project_id": text})

    assert shape(domain_xml(a_plan(hostile))) == shape(domain_xml(a_plan(plain)))


def test_who_a_guest_belongs_to_can_be_read_back() -> None:
    spec = a_spec(name='ünï "q" <b> & \U0001f600')
    plan = a_plan(spec)
    metadata = etree.fromstring(domain_xml(plan).encode()).find(f"metadata/{{{NAMESPACE}}}guest")
    assert metadata is not None

    assert read_identity(etree.tostring(metadata, encoding="unicode")) == plan.identity


@pytest.mark.parametrize("xml", ["<guest/>", "<guest><cloud>c</cloud><host>h</host><server>x</server></guest>"])
def test_metadata_that_is_not_ours_is_nobodys(xml: str) -> None:
    assert read_identity(xml) is None


def test_a_guest_has_no_device_that_it_does_not_need() -> None:
    devices = etree.fromstring(domain_xml(a_plan(a_spec())).encode()).find("devices")
    assert devices is not None

    assert not {"sound", "input", "redirdev", "hostdev", "smartcard", "parallel"} & {
        str(child.tag) for child in devices
    }
    assert [disk.get("device") for disk in devices.findall("disk")] == ["disk"]
    assert [usb.get("model") for usb in devices.findall("controller[@type='usb']")] == ["none"]


def test_a_guests_screen_listens_nowhere() -> None:
    devices = etree.fromstring(domain_xml(a_plan(a_spec())).encode()).find("devices")
    assert devices is not None

    assert [graphics.get("type") for graphics in devices.findall("graphics")] == ["vnc", "spice"]
    assert [listen.get("type") for listen in devices.findall("graphics/listen")] == ["none", "none"]
    assert not [graphics for graphics in devices.findall("graphics") if {"passwd", "port"} & set(graphics.keys())]


def test_nothing_of_whoever_looks_on_goes_to_the_guest_but_keys_and_the_mouse() -> None:
    domain = domain_xml(a_plan(a_spec()))
    spice = etree.fromstring(domain.encode()).find("devices/graphics[@type='spice']")
    assert spice is not None

    assert [one.get("copypaste") for one in spice.iterfind("clipboard")] == ["no"]
    assert [one.get("enable") for one in spice.iterfind("filetransfer")] == ["no"]


def test_a_screen_is_found_among_those_that_a_guest_has() -> None:
    domain = domain_xml(a_plan(a_spec()))

    assert [graphics_index(domain, kind) for kind in ConsoleKind] == [0, 1, None]


@pytest.mark.parametrize(
    ("xml", "line"),
    [
        (
            "<domain><devices><serial type='pty'><source path='/dev/pts/7'/></serial></devices></domain>",
            Path("/dev/pts/7"),
        ),
        ("<domain><devices><serial type='pty'/></devices></domain>", None),
        ("<domain><devices/></domain>", None),
    ],
)
def test_the_serial_line_of_a_guest_is_found_while_it_runs(xml: str, line: Path | None) -> None:
    assert serial_line(xml) == line


def test_the_backing_chain_is_spelled_out_and_the_image_is_never_given_away() -> None:
    xml = domain_xml(a_plan(a_spec()))
    backing = etree.fromstring(xml.encode()).find("devices/disk/backingStore")
    assert backing is not None

    assert [child.get("type") for child in backing.findall("format")] == ["qcow2"]
    assert [child.get("relabel") for child in backing.findall("source/seclabel")] == ["no"]
    assert len(backing.findall("backingStore")) == 1 and len(backing.findall("backingStore/*")) == 0
    assert read_images(xml) == {"image"}


def test_the_config_drive_is_a_read_only_disk() -> None:
    disks = etree.fromstring(domain_xml(a_plan(a_spec(), config_drive=Path("/s/cd"))).encode()).findall("devices/disk")

    assert [disk.find("readonly") is not None for disk in disks] == [False, True]
    assert [driver.get("type") for disk in disks for driver in disk.findall("driver")] == ["qcow2", "raw"]


@pytest.mark.parametrize(("virt_type", "mode"), [("kvm", "host-model"), ("qemu", "maximum")])
def test_the_processor_fits_the_way_guests_run(virt_type: str, mode: str) -> None:
    cpu = etree.fromstring(domain_xml(a_plan(a_spec(), virt_type=virt_type)).encode()).find("cpu")

    assert cpu is not None and cpu.get("mode") == mode
