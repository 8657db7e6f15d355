"""Guests on the boards and devices that their images and flavors ask for, each seen from within.

They boot side by side, since a boot is what takes long; what each says of itself is a line of its user data's.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from services.compute.core.guests import GuestSize, GuestSpec, PowerState
from services.compute.core.hardware import hardware_of
from services.compute.drivers.libvirt import LibvirtHypervisor
from services.compute.drivers.libvirt.elements import parse
from tests.unit.compute.drivers.builders import a_spec, eventually

BOOT_S = 400  # by emulation, beside others, on a busy machine
UEFI = {"hw_firmware_type": "uefi"}
SECURE = {"os:secure_boot": "required"}

FACTS = """#!/bin/sh
root=$(findfs LABEL=pileus-root)
echo "seen: root=${root#/dev/} efi=$(ls -d /sys/firmware/efi 2>/dev/null) $(dmesg | grep -io 'secure boot [a-z]*' | head -n 1)"
echo "seen: watchdog=$(grep -l 0x25ab /sys/bus/pci/devices/*/device | wc -l) serial=$(dmesg | grep -c 'ttyS[0-9] at')"
"""

# What a CD-ROM begins with: 16 bits, loaded at 0000:7C00; says its sentence on the serial line, and halts.
SAYS = b"pileus starts from a CD-ROM\r\n\0"
BOOT_SECTOR = (
    bytes.fromhex("fa 31c0 8ed8 be197c ba f803 ac 84c0 7403 ee ebf8 f4 ebfd".replace(" ", "")).ljust(25, b"\x90") + SAYS
)


def a_guest(
    properties: dict[str, str], extra_specs: dict[str, str] | None = None, *, memory_mib: int = 256
) -> GuestSpec:
    return a_spec(
        memory_mib=memory_mib,
        properties=properties,
        extra_specs=extra_specs,
        config_drive={"openstack/latest/meta_data.json": "{}", "openstack/latest/user_data": FACTS},
    )


def an_iso(place: Path) -> Path:
    tree = place / "tree"
    tree.mkdir()
    (tree / "boot.bin").write_bytes(BOOT_SECTOR.ljust(2048, b"\0"))
    iso = place / "iso"
    options = ["-quiet", "-b", "boot.bin", "-no-emul-boot", "-boot-load-size", "4"]
    subprocess.run(["genisoimage", *options, "-o", str(iso), str(tree)], check=True, capture_output=True)
    iso.chmod(0o444)
    return iso


def unsigned(bootable: Path, place: Path) -> Path:
    """The same disk, but for a byte of its boot loader: nobody has signed that."""
    raw = place / "unsigned"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(bootable), str(raw)], check=True)
    signed = Path("/usr/lib/shim/shimx64.efi.signed").read_bytes()[4096:8192]
    disk = raw.read_bytes()
    at = disk.index(signed)
    raw.write_bytes(disk[:at] + bytes([disk[at] ^ 1]) + disk[at + 1 :])
    raw.chmod(0o444)
    return raw


def must_say(hypervisor: LibvirtHypervisor, spec: GuestSpec, *words: str) -> None:
    """Waits until its console has shown all of them."""
    text = ""

    def shows() -> bool:
        nonlocal text
        text = hypervisor.console(spec.server_id, max_bytes=1 << 20).decode(errors="replace")
        return all(word in text for word in words)

    assert eventually(shows, within_s=BOOT_S), f"not all of {words}; its console says: {text[-2000:]}"


def nvram(hypervisor: LibvirtHypervisor, spec: GuestSpec) -> list[Path]:
    return [path for path in hypervisor.options.disks.glob(f"{spec.server_id}.*") if path.name.endswith("nvram")]


@pytest.mark.timeout(1200)
def test_guests_start_as_their_images_and_flavors_say(
    hypervisor: LibvirtHypervisor, bootable: Path, place: Path
) -> None:
    scsi = {"hw_disk_bus": "scsi", "hw_video_model": "virtio", "hw_serial_port_count": "2"}
    secure = a_guest(UEFI | scsi | {"hw_watchdog_action": "poweroff"}, SECURE, memory_mib=512)
    refused = a_spec(memory_mib=256, disk_format="raw", properties=UEFI, extra_specs=SECURE)
    old = a_guest({"hw_disk_bus": "ide", "hw_video_model": "cirrus"})
    from_iso = a_spec(disk_format="iso")

    hypervisor.create(secure, bootable)
    hypervisor.create(refused, unsigned(bootable, place))
    hypervisor.create(old, bootable)
    hypervisor.create(from_iso, an_iso(place))

    must_say(hypervisor, from_iso, "pileus starts from a CD-ROM")
    must_say(hypervisor, old, "seen: root=sda2 efi= ", "watchdog=0 serial=1")
    must_say(hypervisor, refused, "Access Denied")
    must_say(hypervisor, secure, "seen: root=sda2 efi=/sys/firmware/efi Secure boot enabled")
    must_say(hypervisor, secure, "watchdog=1 serial=2")


def test_uefi_keeps_its_variables_as_long_as_its_guest_is_there(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_guest(UEFI)
    hypervisor.create(spec, image)
    [file] = nvram(hypervisor, spec)
    kept = file.stat().st_ino

    hypervisor.stop(spec.server_id, patience_s=0)
    size = GuestSize(flavor="m1.safe", vcpus=1, memory_mib=256, root_gib=1, hardware=hardware_of(UEFI, SECURE))
    hypervisor.resize(spec.server_id, size)
    hypervisor.start(spec.server_id)
    assert len(nvram(hypervisor, spec)) == 2  # secure boot has variables of its own
    hypervisor.restore_size(spec.server_id, ())
    assert hypervisor.start(spec.server_id) is PowerState.RUNNING
    assert file.stat().st_ino == kept

    hypervisor.destroy(spec.server_id)
    assert nvram(hypervisor, spec) == []


@pytest.mark.parametrize(
    ("rescue", "found"),
    [
        ({}, ("q35", "vda", "vdb")),
        ({"hw_machine_type": "pc", "hw_disk_bus": "ide"}, ("i440fx", "hda", "hdb")),
        ({"hw_rescue_bus": "usb", "hw_rescue_device": "cdrom"}, ("q35", "sda", "vda")),
    ],
    ids=["of the usual hardware", "of its own hardware", "as it wishes to be plugged in"],
)
def test_a_rescue_image_gets_what_it_asks_for_and_the_guest_its_own_back(
    hypervisor: LibvirtHypervisor, image: Path, rescue: dict[str, str], found: tuple[str, str, str]
) -> None:
    spec = a_guest({})
    hypervisor.create(spec, image)
    before = shape(hypervisor, spec)

    asked = spec.model_copy(update={"hardware": spec.hardware.in_rescue(hardware_of(rescue, {}))})
    assert hypervisor.rescue(asked, image) is PowerState.RUNNING
    assert hypervisor.rescue(asked, image) is PowerState.RUNNING
    board, first, second = shape(hypervisor, spec)
    hypervisor.unrescue(spec.server_id)
    hypervisor.unrescue(spec.server_id)

    assert (board, first, second) == found
    assert shape(hypervisor, spec) == before
    assert hypervisor.start(spec.server_id) is PowerState.RUNNING
    assert not list(hypervisor.options.disks.glob(f"{spec.server_id}*rescue*"))


def shape(hypervisor: LibvirtHypervisor, spec: GuestSpec) -> tuple[str, str, str]:
    """Its kind of board, and the disks that it starts from, in order."""
    command = ["virsh", "-q", "-c", hypervisor.options.uri, "dumpxml", "--inactive", str(spec.server_id)]
    domain = parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    disks = {boot.get("order"): boot.getparent() for boot in domain.iterfind("devices/disk/boot")}
    targets = [disk.find("target") for at in ("1", "2") if (disk := disks.get(at)) is not None]
    names = [str(target.get("dev")) for target in targets if target is not None]
    board = "q35" if "q35" in str(domain.find("os/type").get("machine")) else "i440fx"  # type: ignore[union-attr]
    return board, names[0], names[1] if len(names) > 1 else ""
