"""The board of a guest: machine type, firmware, what it says of itself, clock."""

from __future__ import annotations

from services.compute.core.hardware.boards import UEFI
from services.compute.drivers.libvirt.elements import Element, add
from services.compute.drivers.libvirt.plans import DomainPlan

HYPER_V = ("relaxed", "vapic", "vpindex", "runtime", "synic", "reset", "frequencies", "tlbflush", "ipi")
SPINLOCK_RETRIES = "8191"  # what Microsoft certifies Windows guests with


def add_board(domain: Element, plan: DomainPlan) -> None:
    machine, server_id = plan.machine, str(plan.identity.server_id)
    os = add(domain, "os")
    add(os, "type", "hvm", arch=machine.architecture, machine=machine.board)
    if not machine.runs_qemu:
        return
    if plan.hardware.board.firmware == UEFI:
        _uefi(os, plan)
    add(os, "smbios", mode="sysinfo")
    if plan.hardware.board.has_boot_menu:
        add(os, "bootmenu", enable="yes")
    system = add(add(domain, "sysinfo", type="smbios"), "system")
    add(system, "entry", "Pileus", name="manufacturer")
    add(system, "entry", "OpenStack Compute", name="product")  # by this cloud-init knows where to ask
    add(system, "entry", server_id, name="uuid")
    _features(add(domain, "features"), plan)


def _uefi(os: Element, plan: DomainPlan) -> None:
    """libvirt finds the build among the host's; its variables begin as a copy of that build's template."""
    os.set("firmware", "efi")
    wanted = add(os, "firmware")
    for feature in ("secure-boot", "enrolled-keys"):
        add(wanted, "feature", enabled="yes" if plan.is_secure else "no", name=feature)
    if plan.nvram is not None:
        add(os, "nvram", str(plan.nvram))


def _features(features: Element, plan: DomainPlan) -> None:
    board = plan.hardware.board
    add(features, "acpi")
    add(features, "apic")
    if plan.is_secure:  # or the guest could change the variables behind the firmware's back
        add(features, "smm", state="on")
    if board.is_hidden:
        add(add(features, "kvm"), "hidden", state="on")
    if board.viommu is not None:
        add(features, "ioapic", driver="qemu")
    if board.os_type == "windows" and plan.machine.virt_type == "kvm":
        _hyper_v(add(features, "hyperv", mode="custom"), is_hidden=board.is_hidden)


def _hyper_v(hyperv: Element, *, is_hidden: bool) -> None:
    for name in HYPER_V:
        add(hyperv, name, state="on")
    add(hyperv, "spinlocks", state="on", retries=SPINLOCK_RETRIES)
    if is_hidden:
        add(hyperv, "vendor_id", state="on", value="1234567890ab")


def add_clock(domain: Element, plan: DomainPlan) -> None:
    board, is_kvm = plan.hardware.board, plan.machine.virt_type == "kvm"
    clock = add(domain, "clock", offset="localtime" if board.os_type == "windows" else "utc")
    if is_kvm:
        add(clock, "timer", name="pit", tickpolicy="delay")
        add(clock, "timer", name="rtc", tickpolicy="catchup")
    if is_kvm or board.has_hpet:
        add(clock, "timer", name="hpet", present="yes" if board.has_hpet else "no")
    if is_kvm and board.os_type == "windows":
        add(clock, "timer", name="hypervclock", present="yes")
    add(domain, "on_poweroff", "destroy")
    add(domain, "on_reboot", "restart")
    add(domain, "on_crash", "destroy")
