"""The devices of a guest: none that it does not need, or that was not asked for."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from common.errors import HostFailed
from services.compute.core.consoles import ConsoleKind
from services.compute.core.hardware import Devices
from services.compute.drivers.libvirt.disk_devices import add_disks
from services.compute.drivers.libvirt.elements import Element, add
from services.compute.drivers.libvirt.plans import DomainPlan
from services.compute.drivers.libvirt.screens import add_screen

ROOT_PORTS = 16  # PCIe; those that no device uses are free for what is plugged in later
IOMMU = {"intremap": "on", "caching_mode": "on", "iotlb": "on", "aw_bits": "48"}


def add_devices(devices: Element, plan: DomainPlan) -> None:
    if plan.machine.emulator:
        add(devices, "emulator", plan.machine.emulator)
    add_disks(devices, plan)
    add_fittings(devices, plan)


def add_fittings(devices: Element, plan: DomainPlan) -> None:
    """All but disks and network cards."""
    wanted = plan.hardware.devices
    _controllers(devices, wanted, plan.blank_buses, has_pcie="q35" in plan.machine.board)
    _serial_lines(devices, plan.console_log, count=wanted.serial_ports)
    add(add(devices, "channel", type="unix"), "target", type="virtio", name="org.qemu.guest_agent.0")
    _input(devices, wanted)
    add_screen(devices, plan.machine.screens, wanted)
    if wanted.sound is not None:
        add(devices, "sound", model=wanted.sound)
    _usb_ports(devices, plan)
    if wanted.watchdog is not None:
        add(devices, "watchdog", model="i6300esb", action=wanted.watchdog)
    add(add(devices, "memballoon", model="virtio"), "stats", period="10")
    if wanted.has_rng:
        _rng(devices, wanted)
    if (model := plan.hardware.board.viommu) is not None:
        _iommu(devices, "virtio" if model == "auto" else model, is_kvm=plan.machine.virt_type == "kvm")


def _controllers(devices: Element, wanted: Devices, others: Set[str], *, has_pcie: bool) -> None:
    """`others`: buses that disks besides the root are on."""
    add(devices, "controller", type="usb", model=_usb_controller(wanted, others))
    if "scsi" in {wanted.bus, wanted.cdrom_bus, wanted.rescue_bus} | others:
        add(devices, "controller", type="scsi", index="0", model=wanted.scsi_model)
    if has_pcie:
        add(devices, "controller", type="pci", index="0", model="pcie-root")
        for _ in range(ROOT_PORTS):
            add(devices, "controller", type="pci", model="pcie-root-port")


def _usb_controller(wanted: Devices, others: Set[str]) -> str:
    if wanted.needs_usb(others):
        return wanted.usb if wanted.usb not in (None, "none") else "qemu-xhci"
    return wanted.usb or "none"


def _serial_lines(devices: Element, log: Path, *, count: int) -> None:
    """The first is the console, and what it says is kept."""
    for port in range(count):
        serial = add(devices, "serial", type="pty")
        if port == 0:
            add(serial, "log", file=str(log), append="on")
        add(serial, "target", port=str(port))
    add(add(devices, "console", type="pty"), "target", type="serial", port="0")


def _input(devices: Element, wanted: Devices) -> None:
    """What is not said is the board's own: PS/2."""
    if wanted.pointer is not None or wanted.input_bus is not None:
        add(devices, "input", type="tablet", bus=wanted.input_bus or "usb")
    if wanted.input_bus is not None:
        add(devices, "input", type="keyboard", bus=wanted.input_bus)


def _usb_ports(devices: Element, plan: DomainPlan) -> None:
    count = plan.hardware.devices.usb_ports
    if count and ConsoleKind.SPICE not in plan.machine.screens:
        raise HostFailed("This host has no SPICE consoles, which USB devices of a viewer would come by")
    for _ in range(count):
        add(devices, "redirdev", bus="usb", type="spicevmc")


def _rng(devices: Element, wanted: Devices) -> None:
    rng = add(devices, "rng", model="virtio")
    if wanted.rng_bytes:
        period = {"period": str(wanted.rng_period_ms)} if wanted.rng_period_ms else {}
        add(rng, "rate", bytes=str(wanted.rng_bytes), **period)
    add(rng, "backend", "/dev/urandom", model="random")
    if wanted.has_packed_ring:
        add(rng, "driver", packed="on")


def _iommu(devices: Element, model: str, *, is_kvm: bool) -> None:
    iommu = add(devices, "iommu", model=model)
    if model == "intel":
        add(iommu, "driver", None, **IOMMU, eim="on" if is_kvm else "off")  # x2APIC is KVM's
