"""Worker and agent are killed in the middle of a snapshot of a real guest: others finish it, or undo it, and nothing is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from select import select
from uuid import UUID

import pytest

from common.saga.store import Sagas
from services.compute.core.states import VmState
from services.compute.db.tables import SAGAS
from services.compute.drivers.images import virtual_size
from services.compute.sagas import (
    DELETE_SERVER,
    SNAPSHOT_SERVER,
    STOP_SERVER,
    DeleteServer,
    SnapshotServer,
    StopServer,
)
from tests.conftest import ROOT
from tests.harness.machine import SMALL, Machine
from tests.harness.waiting import until
from tests.unit.compute.drivers.builders import a_place

FIRST = """
import sys, threading
from datetime import datetime
from pathlib import Path
from uuid import UUID
from services.compute.agent.images import HostImages
from services.compute.drivers.libvirt import copies
from tests.harness.machine import Machine

place, uri, image_id, where, now = sys.argv[1:]

def stand_still(*_, **__):
    print("there", flush=True)
    threading.Event().wait()

convert = copies.convert
if where == "copy of a running guest":
    copies.must_have_ended_well = stand_still  # qemu has written it all, and nobody took note
elif where == "copy of one that is off":
    copies.convert = lambda *of, **how: (convert(*of, **how), stand_still())
else:
    HostImages.upload = stand_still
machine = Machine(Path(place), uri)
machine.world.clock.advance((datetime.fromisoformat(now) - machine.world.clock.now()).total_seconds())
machine.world.gallery.make(id=UUID(image_id))
while True:
    if not machine.world.engine.run_due():
        threading.Event().wait(0.05)
"""


@pytest.fixture(scope="module")
def machine(libvirtd: None) -> Iterator[Machine]:
    with a_place() as place:
        machine = Machine(place, "qemu:///system")
        yield machine
        for found in machine.hypervisor.guests():
            machine.hypervisor.destroy(found.server_id)
        machine.hypervisor.retire()
        machine.close()


def killed(machine: Machine, server_id: UUID, image_id: UUID, where: str) -> None:
    """Another process begins the snapshot, and dies there."""
    machine.world.begin(SNAPSHOT_SERVER, SnapshotServer(server_id=server_id, image_id=image_id))
    given = [str(machine.place), "qemu:///system", str(image_id), where, machine.world.clock.now().isoformat()]
    command = [sys.executable, "-c", FIRST, *given]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None and select([first.stdout], [], [], 180)[0], "it never got there"
            assert first.stdout.readline() == "there\n"
        finally:
            first.kill()
    machine.world.clock.advance(60)  # what it held is free


def end(machine: Machine, server_id: UUID) -> None:
    def is_over() -> bool:
        machine.world.engine.run_due()
        with machine.world.database.reading() as session:
            return not Sagas(session, SAGAS).unfinished(server_id)

    until(is_over, within_s=180, what="the end of its sagas")


@pytest.mark.parametrize("where", ["copy of a running guest", "copy of one that is off", "upload"])
def test_a_snapshot_whose_worker_and_agent_are_killed_is_finished(machine: Machine, where: str) -> None:
    world = machine.world
    server_id, image_id = world.a_booted_server(flavor=SMALL), world.gallery.make()
    if where == "copy of one that is off":
        world.do(STOP_SERVER, StopServer(server_id=server_id))
    state = world.server(server_id).vm_state

    killed(machine, server_id, image_id, where)
    end(machine, server_id)

    assert world.gallery.status(image_id) == "active"
    assert (world.server(server_id).vm_state, world.server(server_id).task_state) == (state, None)
    assert list(machine.copies.iterdir()) == []
    (whole := machine.place / "whole").write_bytes(world.gallery.contents[image_id])
    assert virtual_size(whole, "qcow2") == 1 << 30


def test_a_server_that_is_deleted_after_such_a_death_leaves_nothing(machine: Machine) -> None:
    world = machine.world
    server_id, image_id = world.a_booted_server(flavor=SMALL), world.gallery.make()
    killed(machine, server_id, image_id, "copy of a running guest")

    with world.database.transaction() as session:
        Sagas(session, SAGAS).cancel(server_id)
    world.change(server_id, task_state="deleting")
    world.begin(DELETE_SERVER, DeleteServer(server_id=server_id))
    end(machine, server_id)

    assert world.server(server_id).vm_state == VmState.DELETED
    assert image_id not in world.gallery.made and list(machine.copies.iterdir()) == []
    assert server_id not in {one.server_id for one in machine.hypervisor.guests()} | machine.hypervisor.leftovers()
