"""A whole guest with an operating system: it boots, reads its config drive, obeys the power button."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import UUID

from common.errors import Conflict
from services.compute.core.guests import BlankDisk, DiskKind, GuestSize, GuestSpec, PowerState
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.unit.compute.drivers.builders import a_spec, eventually

BOOT_S = 240  # by emulation on a busy machine


def boots(hypervisor: LibvirtHypervisor, spec: GuestSpec, *, times: int) -> bool:
    """True once the console has shown a login prompt this often."""
    return eventually(
        lambda: hypervisor.console(spec.server_id, max_bytes=1 << 20).count(b"login:") >= times, within_s=BOOT_S
    )


def test_a_guest_boots_restarts_and_shuts_down_when_asked(hypervisor: LibvirtHypervisor, bootable: Path) -> None:
    spec = a_spec(memory_mib=256, config_drive={"openstack/latest/meta_data.json": '{"hostname": "told-by-drive"}'})
    hypervisor.create(spec, bootable)
    told: list[PowerState | None] = []
    hypervisor.watch(lambda _, state: told.append(state))

    assert boots(hypervisor, spec, times=1)
    assert b"told-by-drive login:" in hypervisor.console(spec.server_id, max_bytes=1 << 20)

    assert hypervisor.reboot(spec.server_id, patience_s=BOOT_S) is PowerState.RUNNING
    assert boots(hypervisor, spec, times=2)
    assert told == []

    started = time.monotonic()
    assert hypervisor.stop(spec.server_id, patience_s=BOOT_S) is PowerState.SHUTDOWN
    assert time.monotonic() - started < BOOT_S


def test_a_guest_that_ignores_the_button_is_switched_off_after_all(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)  # it has no operating system to obey

    started = time.monotonic()
    state = hypervisor.stop(spec.server_id, patience_s=1)

    assert state is PowerState.SHUTDOWN
    assert time.monotonic() - started >= 1


def test_a_soft_reboot_that_is_ignored_becomes_a_hard_one(hypervisor: LibvirtHypervisor, image: Path) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)

    assert hypervisor.reboot(spec.server_id, patience_s=1) is PowerState.RUNNING


LOOK = r"""#!/bin/sh
cat >/root/look <<'END'
#!/bin/sh
mkdir -p /scratch && mount -t ext4 "$(findfs LABEL=ephemeral0)" /scratch && swapon /dev/vdc
echo "boot" >>/scratch/boots; sync
size() { echo $(($(cat /sys/block/$1/size) / 2048)); }
swap=$(awk '/vdc/ {print $3}' /proc/swaps) boots=$(wc -l </scratch/boots)
echo "sees $(size vdb) and $(size vdc) MiB, swaps to $swap KiB, boot $boots there"
END
chmod 755 /root/look
echo '::once:/root/look >/dev/console 2>&1' >>/etc/inittab
/root/look
"""
"""Run by the guest at each of its boots."""


def disks(ephemeral_gib: int, swap_mib: int) -> tuple[BlankDisk, ...]:
    return (
        BlankDisk(kind=DiskKind.EPHEMERAL, size_mib=ephemeral_gib * 1024, file_system="ext4"),
        BlankDisk(kind=DiskKind.SWAP, size_mib=swap_mib),
    )


def sees(hypervisor: LibvirtHypervisor, spec: GuestSpec, what: str) -> bool:
    """What the guest said of its disks, last."""

    def last() -> str:
        said = hypervisor.console(spec.server_id, max_bytes=1 << 20).decode(errors="replace")
        return next((line.strip() for line in reversed(said.splitlines()) if "sees" in line), "")

    return eventually(lambda: what in last(), within_s=BOOT_S)


def test_one_guest_goes_through_what_its_owner_may_ask(hypervisor: LibvirtHypervisor, bootable: Path) -> None:
    drive = {"openstack/latest/meta_data.json": "{}", "openstack/latest/user_data": LOOK}
    spec = a_spec(memory_mib=256, config_drive=drive, disks=disks(1, 64))
    server_id = spec.server_id
    hypervisor.create(spec, bootable)
    assert boots(hypervisor, spec, times=1)
    assert sees(hypervisor, spec, "sees 1024 and 64 MiB, swaps to 65532 KiB, boot 1 there")

    assert hypervisor.pause(server_id) is PowerState.PAUSED
    assert hypervisor.start(server_id) is PowerState.RUNNING
    assert hypervisor.suspend(server_id) is PowerState.SHUTDOWN
    assert hypervisor.start(server_id) is PowerState.RUNNING
    assert hypervisor.console(server_id, max_bytes=1 << 20).count(b"login:") == 1  # it went on and did not boot anew
    assert eventually(lambda: sets_password(hypervisor, server_id), within_s=BOOT_S)  # its agent answers again
    assert hypervisor.diagnose(server_id).disks[0].read_bytes > 0

    size = GuestSize(flavor="m1.small", vcpus=2, memory_mib=384, root_gib=2, disks=disks(2, 128))
    hypervisor.resize(server_id, size)
    hypervisor.start(server_id)
    assert boots(hypervisor, spec, times=2)
    assert sees(hypervisor, spec, "sees 2048 and 128 MiB, swaps to 131068 KiB, boot 2 there")
    hypervisor.restore_size(server_id, spec.disks)
    hypervisor.start(server_id)
    assert boots(hypervisor, spec, times=3)
    assert sees(
        hypervisor, spec, "sees 1024 and 64 MiB, swaps to 65532 KiB, boot 2 there"
    )  # the other second one is undone
    found = hypervisor.diagnose(server_id)
    assert (found.memory_kib, len(found.cpu_times_ns)) == (256 * 1024, 1)

    hypervisor.rescue(spec, bootable)
    assert boots(hypervisor, spec, times=4)
    assert sees(hypervisor, spec, "boot 3 there")
    assert {disk.name for disk in hypervisor.diagnose(server_id).disks} == {"vda", "vdb", "vdc", "vdd", "vdz"}
    hypervisor.unrescue(server_id)
    hypervisor.start(server_id)
    assert boots(hypervisor, spec, times=5)
    assert sees(hypervisor, spec, "boot 4 there")


def sets_password(hypervisor: LibvirtHypervisor, server_id: UUID) -> bool:
    try:
        hypervisor.set_password(server_id, user="root", password="changed-by-agent")
    except Conflict:
        return False
    return True
