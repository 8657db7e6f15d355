"""A machine goes down with its guests, and comes back: what ran before runs again, what was off stays off."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from common.saga.store import Sagas
from services.compute.core.guests import PowerState
from services.compute.core.states import VmState
from services.compute.db.tables import SAGAS
from services.compute.sagas import STOP_SERVER, StopServer
from tests.harness.libvirt_node import LibvirtNode
from tests.harness.machine import SMALL, Machine
from tests.harness.waiting import until
from tests.unit.compute.drivers.builders import a_place


@pytest.fixture
def node() -> Iterator[LibvirtNode]:
    with a_place() as place:
        node = LibvirtNode(place)
        yield node
        node.stop()


@pytest.fixture
def machine(node: LibvirtNode) -> Iterator[Machine]:
    with a_place() as place:
        machine = Machine(place, node.uri)
        yield machine
        for found in machine.hypervisor.guests():
            machine.hypervisor.destroy(found.server_id)
        machine.close()


def restart(machine: Machine, node: LibvirtNode) -> None:
    """Without a warning: agent, libvirtd and guests are gone at once."""
    machine.changes.stop()
    pids = [node.qemu_pid(name) for name in node.virsh("list", "--name").stdout.split()]
    node.kill(signal.SIGKILL)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids), what="the end of all guests")
    node.forget_guests()
    machine.host.close()
    machine.boot_id.write_text("second")
    machine.world.clock.advance(30)
    node.start()
    machine.start_agent()


def timeline(machine: Machine, server_id: UUID) -> list[str | None]:
    with machine.world.database.reading() as session:
        sagas = Sagas(session, SAGAS)
        return [event.message for row in sagas.of_resource(server_id) for event in sagas.events_of([row.id])]


def test_guests_that_ran_before_their_machine_went_down_run_again(machine: Machine, node: LibvirtNode) -> None:
    world = machine.world
    ran, stopped = (world.a_booted_server(flavor=SMALL) for _ in range(2))
    world.do(STOP_SERVER, StopServer(server_id=stopped))

    restart(machine, node)

    assert machine.hypervisor.state(ran) is PowerState.RUNNING
    assert machine.hypervisor.state(stopped) is PowerState.SHUTDOWN
    told = "The guest was started again after its host was restarted"
    until(lambda: timeline(machine, ran)[0] == told, what="the timeline")
    assert [world.server(one).vm_state for one in (ran, stopped)] == [VmState.ACTIVE, VmState.STOPPED]

    node.virsh("destroy", str(ran))  # from outside, while the agent runs: nobody starts that again

    world.clock.advance(30)
    until(lambda: world.server(ran).vm_state == VmState.STOPPED, what="the server's new state")
