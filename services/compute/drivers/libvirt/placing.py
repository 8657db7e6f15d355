"""How each guest computes on this host: which processor it sees, and which of the host's it runs on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from uuid import UUID

import libvirt

from common.errors import HostFailed
from services.compute.core.hardware.fitting import HostCell
from services.compute.core.hardware.processors import Processors
from services.compute.drivers.libvirt.cpu_traits import model_with
from services.compute.drivers.libvirt.host_cells import host_cells, place_of
from services.compute.drivers.libvirt.machines import Machines
from services.compute.drivers.libvirt.memory import total_memory_mib
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.owned import OwnDomains
from services.compute.drivers.libvirt.plans import Machine, Processing

log = logging.getLogger(__name__)


class Placing:
    """Guests with places of their own are placed and written down one after another: no two get the same processor."""

    def __init__(self, options: LibvirtOptions, domains: OwnDomains, machines: Machines) -> None:
        self._options, self._domains, self._machines = options, domains, machines
        self._turn = Lock()

    @contextmanager
    def place(self, connection: libvirt.virConnect, server_id: UUID, wanted: Processors) -> Iterator[Processing]:
        """The guest is to be defined within.  HostFailed if this host has not what it asks for, or not any more"""
        machine = self._machines.machine(connection)
        if not wanted.cells:
            yield self._processing(connection, machine, wanted)
            return
        with self._turn:
            guests = self._domains.every(connection)
            place = place_of(connection, self.cells(connection), guests, server_id, wanted)
            plain = self._processing(connection, machine, wanted)
            yield Processing(plain.mode, plain.model, plain.flags, plain.shared, place)

    def cells(self, connection: libvirt.virConnect) -> tuple[HostCell, ...]:
        memory_mib = total_memory_mib(connection) - self._options.memory_reserved_mib
        return host_cells(connection, self._options, memory_mib=memory_mib)

    def _processing(self, connection: libvirt.virConnect, machine: Machine, wanted: Processors) -> Processing:
        options = self._options
        if not machine.runs_qemu:
            return Processing(None)
        mode = cpu_mode(options, machine)
        model = self._model(connection, machine, wanted) if mode == "custom" else None
        return Processing(mode, model, options.cpu_flags, options.shared_cpus or frozenset())

    def _model(self, connection: libvirt.virConnect, machine: Machine, wanted: Processors) -> str:
        found = model_with(connection, machine, self._options.cpu_models, wanted.features)
        if found is None:
            raise HostFailed(f"No processor in cpu_models of this host has all of {', '.join(wanted.features)}")
        return found


def cpu_mode(options: LibvirtOptions, machine: Machine) -> str:
    """Without acceleration no guest can see the host's own processor: then all that can be emulated is nearest to that."""
    if options.cpu_mode == "auto":
        return "host-model" if machine.virt_type == "kvm" else "maximum"
    if options.cpu_mode == "host-passthrough" and machine.virt_type != "kvm":
        return "maximum"
    return options.cpu_mode
