"""What each property of an image and each spec of a flavor becomes in what libvirt is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from common.errors import HostFailed
from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import DiskKind
from services.compute.core.hardware.traits import SECURE_BOOT
from services.compute.drivers.libvirt.blank_disks import BlankFile
from services.compute.drivers.libvirt.domains import domain_xml, read_images
from services.compute.drivers.libvirt.elements import Element, parse
from services.compute.drivers.libvirt.machines import SCREENS
from services.compute.drivers.libvirt.plans import DomainPlan, Identity, Machine, RootDisk
from services.compute.drivers.libvirt.refitting import refit
from tests.unit.compute.drivers.builders import a_spec

Said = dict[str, str]
UEFI = {"hw_firmware_type": "uefi"}
DISK = "devices/disk[@device='disk']"


def a_plan(properties: Said | None = None, extra_specs: Said | None = None, *, virt_type: str = "qemu") -> DomainPlan:
    spec = a_spec(properties=properties, extra_specs=extra_specs)
    board = "pc-i440fx-7.2" if spec.hardware.board.family == "pc" else "pc-q35-7.2"
    return DomainPlan(
        identity=Identity.of(spec, cloud_id="c1", host="h1"),
        machine=Machine(virt_type, board, "x86_64", "/usr/bin/qemu-system-x86_64", SCREENS, frozenset({SECURE_BOOT})),
        vcpus=1,
        memory_mib=128,
        hardware=spec.hardware,
        root=RootDisk(Path("/s/disk"), Path("/s/image"), "qcow2"),
        config_drive=Path("/s/config"),
        console_log=Path("/s/log"),
        account=1234,
        nvram=Path("/s/nvram"),
    )


def told(plan: DomainPlan) -> Element:
    return parse(domain_xml(plan))


@pytest.mark.parametrize(
    ("properties", "extra_specs", "where", "what"),
    [
        ({}, {}, f"{DISK}/target", {"dev": "vda", "bus": "virtio"}),
        ({}, {}, "devices/controller[@type='usb']", {"model": "none"}),
        ({}, {}, "devices/video/model", {"type": "vga"}),
        ({"hw_disk_bus": "sata"}, {}, f"{DISK}/target", {"dev": "sda", "bus": "sata"}),
        ({"hw_disk_bus": "sata"}, {}, "devices/disk[@device='cdrom']/target", {"dev": "sdf", "bus": "sata"}),
        ({"hw_disk_bus": "scsi"}, {}, f"{DISK}[serial='config-2']/address", {"target": "6", "unit": "0"}),
        ({"hw_disk_bus": "ide"}, {}, f"{DISK}/target", {"dev": "hda", "bus": "ide"}),
        ({"hw_disk_bus": "ide"}, {}, "os/type", {"machine": "pc-i440fx-7.2", "arch": "x86_64"}),
        ({"hw_disk_bus": "usb"}, {}, "devices/controller[@type='usb']", {"model": "qemu-xhci"}),
        ({"hw_disk_bus": "scsi"}, {}, "devices/controller[@type='scsi']", {"model": "virtio-scsi"}),
        ({"hw_disk_bus": "scsi", "hw_scsi_model": "lsilogic"}, {}, "devices/controller[@type='scsi']", {"model": "lsilogic"}),
        ({"hw_video_model": "qxl", "hw_video_ram": "32"}, {"hw_video:ram_max_mb": "64"}, "devices/video/model",
         {"type": "qxl", "vram": "32768"}),
        ({}, {"hw_rng:rate_bytes": "64", "hw_rng:rate_period": "500"}, "devices/rng/rate", {"bytes": "64", "period": "500"}),
        ({"hw_watchdog_action": "reset"}, {}, "devices/watchdog", {"model": "i6300esb", "action": "reset"}),
        ({"hw_pointer_model": "usbtablet"}, {}, "devices/input[@type='tablet']", {"bus": "usb"}),
        ({"hw_pointer_model": "usbtablet"}, {}, "devices/controller[@type='usb']", {"model": "qemu-xhci"}),
        ({"hw_input_bus": "virtio"}, {}, "devices/input[@type='keyboard']", {"bus": "virtio"}),
        ({"hw_sound_model": "ich9"}, {}, "devices/sound", {"model": "ich9"}),
        ({"hw_usb_model": "nec-xhci"}, {}, "devices/controller[@type='usb']", {"model": "nec-xhci"}),
        ({}, {"hw:redirected_usb_ports": "1"}, "devices/redirdev", {"bus": "usb", "type": "spicevmc"}),
        ({}, {"hw:virtio_packed_ring": "true"}, f"{DISK}/driver", {"packed": "on"}),
        ({}, {"hw:boot_menu": "true"}, "os/bootmenu", {"enable": "yes"}),
        ({"hw_time_hpet": "true"}, {}, "clock/timer", {"name": "hpet", "present": "yes"}),
        ({"os_type": "windows"}, {}, "clock", {"offset": "localtime"}),
        ({"img_hide_hypervisor_id": "true"}, {}, "features/kvm/hidden", {"state": "on"}),
        ({"hw_viommu_model": "auto"}, {}, "devices/iommu", {"model": "virtio"}),
        ({"hw_viommu_model": "intel"}, {}, "devices/iommu/driver", {"eim": "off"}),
        (UEFI, {}, "os/firmware/feature[@name='secure-boot']", {"enabled": "no", "name": "secure-boot"}),
        (UEFI, {"os:secure_boot": "required"}, "os/firmware/feature[@name='enrolled-keys']",
         {"enabled": "yes", "name": "enrolled-keys"}),
        (UEFI | {"os_secure_boot": "optional"}, {}, "features/smm", {"state": "on"}),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_there(properties: Said, extra_specs: Said, where: str, what: Said) -> None:
    found = told(a_plan(properties, extra_specs)).find(where)

    assert found is not None and what.items() <= {str(name): value for name, value in found.attrib.items()}.items()


@pytest.mark.parametrize(
    ("properties", "extra_specs", "where"),
    [
        ({}, {"hw_rng:allowed": "false"}, "devices/rng"),
        ({"hw_watchdog_action": "disabled"}, {"hw:watchdog_action": "reset"}, "devices/watchdog"),
        ({"hw_disk_bus": "ide"}, {}, "devices/controller[@model='pcie-root']"),
        ({}, {}, "os/nvram"),
        (UEFI, {}, "features/smm"),
        ({"os_type": "windows"}, {}, "features/hyperv"),
    ],
)
def test_what_is_not_wanted_is_not_there(properties: Said, extra_specs: Said, where: str) -> None:
    assert told(a_plan(properties, extra_specs)).find(where) is None


def test_uefi_has_variables_of_its_own() -> None:
    domain = told(a_plan(UEFI))

    assert [(os.get("firmware"), os.findtext("nvram")) for os in domain.iterfind("os")] == [("efi", "/s/nvram")]


def test_optional_secure_boot_is_left_out_where_the_host_has_none() -> None:
    plan = a_plan(UEFI | {"os_secure_boot": "optional"})

    assert plan.is_secure
    assert not replace(plan, machine=replace(plan.machine, traits=frozenset())).is_secure


def test_windows_under_kvm_gets_interfaces_that_it_knows() -> None:
    domain = told(a_plan({"os_type": "windows", "img_hide_hypervisor_id": "yes"}, virt_type="kvm"))

    assert domain.find("features/hyperv/relaxed") is not None and domain.find("features/hyperv/vendor_id") is not None
    assert [timer.get("name") for timer in domain.iterfind("clock/timer")] == ["pit", "rtc", "hpet", "hypervclock"]


def test_each_serial_port_is_a_line_and_the_first_is_kept() -> None:
    lines = told(a_plan({"hw_serial_port_count": "3"})).findall("devices/serial")

    assert [line.find("log") is not None for line in lines] == [True, False, False]


def test_usb_of_viewers_needs_a_console_that_has_it() -> None:
    plan = a_plan({}, {"hw:redirected_usb_ports": "1"})

    with pytest.raises(HostFailed, match="SPICE"):
        domain_xml(replace(plan, machine=replace(plan.machine, screens=(ConsoleKind.VNC,))))


def test_a_cd_rom_comes_after_the_disk_and_is_nobodys_to_change() -> None:
    plan = replace(a_plan(), cdrom=Path("/s/install"), root=RootDisk(Path("/s/disk"), None))
    domain = told(plan)
    drive = domain.find("devices/disk[@device='cdrom']")
    assert drive is not None

    assert [boot.get("order") for boot in domain.iterfind("devices/disk/boot")] == ["1", "2"]
    assert drive.find("readonly") is not None and drive.find("source/seclabel[@relabel='no']") is not None
    assert [(target.get("dev"), target.get("bus")) for target in drive.findall("target")] == [("sda", "sata")]
    assert read_images(domain_xml(plan)) == {"install"}


@pytest.mark.parametrize("bus", ["virtio", "scsi", "sata", "usb", "ide"])
@pytest.mark.parametrize("cdrom_bus", ["scsi", "sata", "usb", "ide"])
def test_no_two_disks_of_a_guest_have_one_name(bus: str, cdrom_bus: str) -> None:
    plan = replace(a_plan({"hw_disk_bus": bus, "hw_cdrom_bus": cdrom_bus}), cdrom=Path("/s/install"))

    names = [target.get("dev") for target in told(plan).iterfind("devices/disk/target")]

    assert len(names) == len(set(names)) == 3


def test_other_hardware_leaves_disks_and_cards_where_they_are() -> None:
    description = told(a_plan())
    devices = description.find("devices")
    assert devices is not None
    card = etree.SubElement(devices, "interface", type="bridge")
    etree.SubElement(card, "address", type="pci", bus="0x01")
    plan = a_plan({}, {"hw:watchdog_action": "poweroff", "hw:serial_port_count": "2", "hw:boot_menu": "yes"})

    refit(description, plan)

    assert description.find("devices/interface/address") is not None
    assert len(description.findall("devices/disk")) == 2
    assert len(description.findall("devices/serial")) == 2 and len(description.findall("devices/watchdog")) == 1
    assert len(description.findall("devices/controller[@model='pcie-root']")) == 1
    assert description.find("os/bootmenu") is not None and len(description.findall("os")) == 1


def test_on_another_board_no_address_is_left() -> None:
    description = told(a_plan())
    for disk in description.iterfind("devices/disk"):
        etree.SubElement(disk, "address", type="pci", bus="0x01")

    refit(description, a_plan({"hw_machine_type": "pc"}))

    assert description.find("devices/*/address") is None
    assert description.find("devices/controller[@model='pcie-root']") is None


def test_a_disk_of_its_own_bus_is_plugged_in_there_and_has_a_controller() -> None:
    blanks = tuple(
        BlankFile(Path(f"/s/{at}"), f"ephemeral{at}", DiskKind.EPHEMERAL, bus)
        for at, bus in enumerate(("scsi", None, "usb"))
    )
    domain = told(replace(a_plan(), blanks=blanks, cdrom=Path("/s/iso")))

    found = [(one.get("dev"), one.get("bus")) for one in domain.findall("devices/disk/target")]
    assert found == [
        ("vda", "virtio"),
        ("sda", "scsi"),
        ("vdb", "virtio"),
        ("sdb", "usb"),
        ("vdz", "virtio"),
        ("sde", "sata"),
    ]
    assert {one.get("type"): one.get("model") for one in domain.findall("devices/controller")} == {
        "usb": "qemu-xhci", "scsi": "virtio-scsi", "pci": "pcie-root-port",
    }  # fmt: skip
