"""Hands from outside, and guests' own: what happens to real guests beside the API shows in it, with the reason."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from cli import guest_image
from common.saga.store import Sagas
from services.compute.core.guests import PowerState
from services.compute.core.states import VmState
from services.compute.db.tables import SAGAS
from services.compute.sagas import BOOT_SERVER, DELETE_SERVER, START_SERVER, BootServer, DeleteServer, StartServer
from tests.conftest import missing
from tests.harness.clouds import run
from tests.harness.machine import SMALL, Machine
from tests.harness.waiting import until
from tests.unit.compute.drivers.builders import a_place

BOOT_S = 240  # by emulation on a busy machine
LARGE, SMALL_MIB = "8G", 48
FILL_THE_DISK = "#!/bin/sh\ndd if=/dev/urandom of=/root/large bs=1M count=64 && sync && poweroff\n"


@pytest.fixture(scope="module")
def machine(libvirtd: None) -> Iterator[Machine]:
    """Guests' files have a disk of their own."""
    if os.geteuid() != 0:
        missing("root, who may mount a disk")
    with a_place() as place:
        guests = place / "guests"
        guests.mkdir(mode=0o711)
        run("mount", "-t", "tmpfs", "-o", f"size={LARGE},mode=711", "guests", str(guests))
        machine = Machine(place, "qemu:///system")
        try:
            yield machine
            for found in machine.hypervisor.guests():
                machine.hypervisor.destroy(found.server_id)
            machine.hypervisor.retire()
        finally:
            machine.close()
            run("umount", str(guests))


def resize_disk(machine: Machine, size: str) -> None:
    run("mount", "-o", f"remount,size={size}", str(machine.place / "guests"))


def virsh(*arguments: str) -> str:
    return run("virsh", "-q", "-c", "qemu:///system", *arguments)


def shows(machine: Machine, server_id: UUID) -> tuple[str, int, str, str | None]:
    """State and power state, and what the timeline says of that."""
    server = machine.world.server(server_id)
    with machine.world.database.reading() as session:
        sagas = Sagas(session, SAGAS)
        newest = sagas.of_resource(server_id)[0]
        return server.vm_state, server.power_state, newest.action, sagas.events_of([newest.id])[-1].message


def expect(machine: Machine, server_id: UUID, state: str, power: PowerState, action: str, message: str) -> None:
    expected = (state, power, action, f"The guest {message}")
    try:
        until(lambda: shows(machine, server_id) == expected, within_s=BOOT_S, what=message)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {shows(machine, server_id)}") from error


def test_what_hands_from_outside_do_to_a_guest_shows_with_the_reason(machine: Machine) -> None:
    world = machine.world
    server_id = world.a_booted_server(flavor=SMALL)
    domain = str(server_id)

    virsh("suspend", domain)
    expect(machine, server_id, VmState.ACTIVE, PowerState.PAUSED, "pause", "was paused on its host")
    virsh("resume", domain)
    expect(machine, server_id, VmState.ACTIVE, PowerState.RUNNING, "unpause", "runs again")
    virsh("undefine", domain)  # it runs on, and would be gone once it is off
    until(lambda: "Persistent:     yes" in virsh("dominfo", domain), what="its description")
    virsh("managedsave", domain)
    expect(machine, server_id, VmState.STOPPED, PowerState.SHUTDOWN, "stop", "was saved and switched off on its host")
    virsh("start", domain)
    expect(machine, server_id, VmState.ACTIVE, PowerState.RUNNING, "start", "was started on its host")
    virsh("destroy", domain)
    expect(machine, server_id, VmState.STOPPED, PowerState.SHUTDOWN, "stop", "was switched off on its host")

    assert world.do(START_SERVER, StartServer(server_id=server_id)).vm_state == VmState.ACTIVE
    os.kill(int(Path(f"/run/libvirt/qemu/pileus-{server_id.hex[:12]}.pid").read_text()), signal.SIGKILL)
    crashed = "crashed, or its process on the host did"
    expect(machine, server_id, VmState.STOPPED, PowerState.SHUTDOWN, "stop", crashed)

    virsh("undefine", domain)
    until(lambda: world.server(server_id).vm_state == VmState.ERROR, what="the loss of the guest")
    told = "The host no longer has this server's guest"
    assert shows(machine, server_id)[1:] == (PowerState.NOSTATE, "lost", told)
    assert (world.server(server_id).fault or {})["message"] == told
    assert world.do(DELETE_SERVER, DeleteServer(server_id=server_id)).vm_state == VmState.DELETED
    assert machine.hypervisor.leftovers() == set()


def test_a_guest_whose_host_has_no_room_stands_still_and_goes_on_and_shuts_itself_down(machine: Machine) -> None:
    world, image_id = machine.world, uuid4()
    content = guest_image.ensure(lambda _: None).file.read_bytes()
    world.gallery.contents[image_id] = content
    server_id = world.a_booted_server(
        image_id=image_id,
        image={"sha512": hashlib.sha512(content).hexdigest(), "size_bytes": len(content), "disk_format": "qcow2"},
        flavor=SMALL | {"memory_mib": 256, "ephemeral_gib": 0, "swap_mib": 0},
        user_data=base64.b64encode(FILL_THE_DISK.encode()).decode(),
    )
    resize_disk(machine, f"{SMALL_MIB}M")  # it has yet to boot

    full = "stands still since the disk of its host is full"
    expect(machine, server_id, VmState.ACTIVE, PowerState.PAUSED, "pause", full)
    resize_disk(machine, LARGE)
    virsh("resume", str(server_id))

    expect(machine, server_id, VmState.STOPPED, PowerState.SHUTDOWN, "stop", "shut down by itself")
    assert world.do(DELETE_SERVER, DeleteServer(server_id=server_id)).vm_state == VmState.DELETED


def test_a_boot_whose_host_has_lost_its_directory_of_disks_ends_with_the_reason(machine: Machine) -> None:
    world, disks = machine.world, machine.hypervisor.options.disks
    disks.rename(kept := disks.with_name("kept"))
    disks.touch()
    try:
        server_id = world.a_server(flavor=SMALL)
        booted = world.do(BOOT_SERVER, BootServer(server_id=server_id))
        deleted = world.do(DELETE_SERVER, DeleteServer(server_id=server_id))
    finally:
        disks.unlink()
        kept.rename(disks)

    assert (booted.vm_state, booted.task_state, booted.host) == (VmState.ERROR, None, None)
    assert (booted.fault or {})["message"].endswith("The host's files fail it: Not a directory")
    assert deleted.vm_state == VmState.DELETED and world.claims() == {}
    world.clock.advance(30)
    machine.compare()
    assert (machine.hypervisor.guests(), machine.hypervisor.leftovers()) == ([], set())
