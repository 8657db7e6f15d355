"""Which virtual machine this host gives its guests: how they run, on which board, by which emulator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from threading import Lock

import libvirt
from lxml import etree

from common.errors import HostFailed
from services.compute.core.consoles import ConsoleKind
from services.compute.core.hardware import Board
from services.compute.core.hardware.boards import PC, Q35
from services.compute.core.hardware.devices import BUSES
from services.compute.core.hardware.devices import SCREENS as SCREEN_WORDS
from services.compute.core.hardware.traits import offered
from services.compute.drivers.libvirt.acceleration import choose_virt_type
from services.compute.drivers.libvirt.elements import Element, parse
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.plans import Machine

ARCHITECTURE = "x86_64"
NICS = ("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3")  # libvirt does not tell these
VIOMMUS = ("intel", "virtio", "auto")
SCREENS = (ConsoleKind.VNC, ConsoleKind.SPICE)


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
                self._machine = _machine(connection, self._virt_type, self._options.screens)
            return self._machine

    def of_board(self, connection: libvirt.virConnect, board: Board) -> Machine:
        """For a guest on such a board.  HostFailed if this host's qemu does not know it"""
        usual, wanted = self.machine(connection), board.machine_type or board.family
        if not usual.runs_qemu or wanted == Q35:
            return usual
        try:
            told = _told(connection, wanted, usual.virt_type)
        except libvirt.libvirtError as error:
            raise HostFailed(f"This host has no machine type '{wanted}'", said=error.get_error_message()) from error
        return replace(usual, board=told.findtext("machine", wanted))


def _machine(connection: libvirt.virConnect, virt_type: str, screens: Collection[str]) -> Machine:
    if virt_type == "test":
        guest = etree.fromstring(connection.getCapabilities().encode()).find("guest/arch")
        architecture = "i686" if guest is None else str(guest.get("name"))
        return Machine(virt_type, "none", architecture, None, screens=())
    told = {board: _told(connection, board, virt_type) for board in (Q35, PC)}
    usual = told[Q35]
    able = _values(usual, "devices/graphics[@supported='yes']", "type")
    return Machine(
        virt_type,
        usual.findtext("machine", Q35),
        ARCHITECTURE,
        usual.findtext("path"),
        screens=tuple(screen for screen in SCREENS if screen in screens and screen in able),
        traits=_traits(told),
    )


def _told(connection: libvirt.virConnect, board: str, virt_type: str) -> Element:
    return parse(connection.getDomainCapabilities(None, ARCHITECTURE, board, virt_type))


def _values(told: Element, part: str, name: str) -> set[str]:
    """https://libvirt.org/formatdomaincaps.html"""
    return {value.text or "" for value in told.iterfind(f"{part}/enum[@name='{name}']/value")}


def _traits(told: Mapping[str, Element]) -> frozenset[str]:
    """Of what some board of this host can do; traits are the same for all."""
    return offered(
        buses={
            bus for one in told.values() for bus in _values(one, "devices/disk[@supported='yes']", "bus")
        }.intersection(BUSES),
        screens=_values(told[Q35], "devices/video[@supported='yes']", "modelType").intersection(SCREEN_WORDS),
        nics=NICS,
        viommus=VIOMMUS,
        has_uefi="efi" in _values(told[Q35], "os", "firmware"),
        is_secure="yes" in _values(told[Q35], "os/loader[@supported='yes']", "secure"),
    )
