"""A whole guest with an operating system: it boots, reads its config drive, obeys the power button."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from uuid import UUID

import pytest

from common.errors import Conflict
from services.compute.core.guests import GuestSize, GuestSpec, PowerState
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.unit.compute.drivers.builders import a_spec, eventually

BUILD = Path(__file__).parents[4] / "deploy" / "guest-image" / "build.sh"
BOOT_S = 120  # by emulation on a busy machine


@pytest.fixture
def bootable(place: Path) -> Path:
    path = place / "bootable"
    subprocess.run([str(BUILD), str(path)], check=True, capture_output=True, timeout=120)
    path.chmod(0o444)
    return path


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

    assert hypervisor.reboot(spec.server_id, patience_s=60) is PowerState.RUNNING
    assert boots(hypervisor, spec, times=2)
    assert told == []

    started = time.monotonic()
    assert hypervisor.stop(spec.server_id, patience_s=60) is PowerState.SHUTDOWN
    assert time.monotonic() - started < 60


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


def test_one_guest_goes_through_what_its_owner_may_ask(hypervisor: LibvirtHypervisor, bootable: Path) -> None:
    spec = a_spec(memory_mib=256)
    server_id = spec.server_id
    hypervisor.create(spec, bootable)
    assert boots(hypervisor, spec, times=1)

    assert hypervisor.pause(server_id) is PowerState.PAUSED
    assert hypervisor.start(server_id) is PowerState.RUNNING
    assert hypervisor.suspend(server_id) is PowerState.SHUTDOWN
    assert hypervisor.start(server_id) is PowerState.RUNNING
    assert hypervisor.console(server_id, max_bytes=1 << 20).count(b"login:") == 1  # it went on and did not boot anew
    assert eventually(lambda: sets_password(hypervisor, server_id), within_s=BOOT_S)  # its agent answers again
    assert hypervisor.diagnose(server_id).disks[0].read_bytes > 0

    hypervisor.resize(server_id, GuestSize(flavor="m1.small", vcpus=2, memory_mib=384, root_gib=2))
    hypervisor.start(server_id)
    assert boots(hypervisor, spec, times=2)
    hypervisor.restore_size(server_id)
    hypervisor.start(server_id)
    assert boots(hypervisor, spec, times=3)
    found = hypervisor.diagnose(server_id)
    assert (found.memory_kib, len(found.cpu_times_ns)) == (256 * 1024, 1)

    hypervisor.rescue(spec, bootable)
    assert boots(hypervisor, spec, times=4)
    assert [disk.name for disk in hypervisor.diagnose(server_id).disks] == ["vda", "vdb"]
    hypervisor.unrescue(server_id)
    hypervisor.start(server_id)
    assert boots(hypervisor, spec, times=5)


def sets_password(hypervisor: LibvirtHypervisor, server_id: UUID) -> bool:
    try:
        hypervisor.set_password(server_id, user="root", password="changed-by-agent")
    except Conflict:
        return False
    return True
