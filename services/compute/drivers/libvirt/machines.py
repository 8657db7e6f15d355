"""Which virtual machine this host gives its guests: how they run, on which board, by which emulator."""

from __future__ import annotations

from threading import Lock

import libvirt
from lxml import etree

from services.compute.drivers.libvirt.acceleration import choose_virt_type
from services.compute.drivers.libvirt.domains import Machine
from services.compute.drivers.libvirt.options import LibvirtOptions

BOARD = "q35"


class Machines:
    """Finding out takes a moment, so it is done once per connection to libvirt."""

    def __init__(self, options: LibvirtOptions) -> None:
        self._options = options
        self._virt_type: str | None = None
        self._machine: Machine | None = None
        self._lock = Lock()

    def forget(self) -> None:
        """libvirtd was restarted, perhaps with another qemu."""
        self._machine = None

    def machine(self, connection: libvirt.virConnect) -> Machine:
        with self._lock:
            if self._virt_type is None:
                options = self._options
                # the range's first account is the probe's, guests have the others
                self._virt_type = choose_virt_type(
                    connection, options.virt_type, storage=options.storage, account=options.first_uid
                )
            if self._machine is None:
                self._machine = _machine(connection, self._virt_type)
            return self._machine


def _machine(connection: libvirt.virConnect, virt_type: str) -> Machine:
    if virt_type == "test":
        guest = etree.fromstring(connection.getCapabilities().encode()).find("guest/arch")
        architecture = "i686" if guest is None else str(guest.get("name"))
        return Machine(virt_type, "none", architecture, None)
    told = etree.fromstring(connection.getDomainCapabilities(None, "x86_64", BOARD, virt_type).encode())
    return Machine(virt_type, told.findtext("machine", BOARD), "x86_64", told.findtext("path"))
