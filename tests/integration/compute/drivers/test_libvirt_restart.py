"""libvirtd may go away and come back: guests go on, and so does the agent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from common.errors import Unavailable
from services.compute.core.guests import PowerState
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.harness.libvirt_node import LibvirtNode
from tests.unit.compute.drivers.builders import a_spec, eventually, libvirt_options


@pytest.fixture
def hypervisor(place: Path, node: LibvirtNode) -> Iterator[LibvirtHypervisor]:
    hypervisor = LibvirtHypervisor(libvirt_options(place, uri=node.uri))
    yield hypervisor
    for found in hypervisor.guests():
        hypervisor.destroy(found.server_id)
    hypervisor.close()


def domain_name(server_id: UUID) -> str:
    return f"pileus-{server_id.hex[:12]}"


def answers(hypervisor: LibvirtHypervisor) -> bool:
    try:
        hypervisor.ping()
    except Unavailable:
        return False
    return True


def switched_off(node: LibvirtNode, name: str) -> bool:
    """Pull the plug; libvirt may call that failed while the dead process waits for its burial."""
    node.virsh("destroy", name, check=False)
    return "shut off" in node.virsh("domstate", name).stdout


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_guests_and_agent_outlive_libvirtd(
    hypervisor: LibvirtHypervisor, node: LibvirtNode, image: Path, how: signal.Signals
) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    told: list[PowerState | None] = []
    hypervisor.watch(lambda _, state: told.append(state))
    pid = node.qemu_pid(domain_name(spec.server_id))

    node.kill(how)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        hypervisor.state(spec.server_id)
    assert time.monotonic() - started < 90
    node.start()

    assert eventually(lambda: answers(hypervisor))
    assert hypervisor.state(spec.server_id) is PowerState.RUNNING
    assert node.qemu_pid(domain_name(spec.server_id)) == pid
    assert eventually(lambda: switched_off(node, domain_name(spec.server_id)))
    assert eventually(lambda: told == [PowerState.SHUTDOWN])


def test_a_guest_that_died_while_libvirtd_was_away_is_told_afterwards(
    hypervisor: LibvirtHypervisor, node: LibvirtNode, image: Path
) -> None:
    spec = a_spec()
    hypervisor.create(spec, image)
    told: list[PowerState | None] = []
    hypervisor.watch(lambda _, state: told.append(state))
    pid = node.qemu_pid(domain_name(spec.server_id))

    node.kill(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    node.start()

    assert eventually(lambda: told == [PowerState.SHUTDOWN])


def test_an_agent_may_start_before_libvirtd(place: Path, node: LibvirtNode, image: Path) -> None:
    node.kill(signal.SIGTERM)
    hypervisor = LibvirtHypervisor(libvirt_options(place, uri=node.uri))
    with pytest.raises(Unavailable):
        hypervisor.ping()

    node.start()

    assert eventually(lambda: answers(hypervisor))
    spec = a_spec()
    assert hypervisor.create(spec, image) is PowerState.RUNNING
    hypervisor.destroy(spec.server_id)
    hypervisor.close()
