"""What the driver knows of a guest before it is made: a typed description of it, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import GuestSpec
from services.compute.core.hardware import Hardware
from services.compute.core.hardware.boards import OPTIONAL, REQUIRED
from services.compute.core.hardware.fitting import Place
from services.compute.core.hardware.traits import SECURE_BOOT
from services.compute.drivers.libvirt.blank_disks import BlankFile


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose guest a domain is; kept in its metadata."""

    cloud_id: str
    host: str
    server_id: UUID
    name: str = ""
    project_id: str = ""
    user_id: str = ""
    flavor: str = ""
    build: str = ""

    @classmethod
    def of(cls, spec: GuestSpec, *, cloud_id: str, host: str) -> Identity:
        return cls(cloud_id, host, spec.server_id, spec.name, spec.project_id, spec.user_id, spec.flavor, spec.build)

    @property
    def domain_name(self) -> str:
        return f"pileus-{self.server_id.hex[:12]}"


@dataclass(frozen=True, slots=True)
class Machine:
    """What this host makes guests of."""

    virt_type: str  # "kvm", "qemu", "test"
    board: str  # pinned, such as pc-q35-7.2: "q35" would change under a guest with the next qemu
    architecture: str
    emulator: str | None
    screens: tuple[ConsoleKind, ...] = (ConsoleKind.VNC,)  # ways to a guest's one screen
    traits: frozenset[str] = frozenset()  # of what else it can do

    @property
    def runs_qemu(self) -> bool:
        return self.virt_type != "test"


@dataclass(frozen=True, slots=True)
class Processing:
    """How a guest computes on this host."""

    mode: str | None = None  # of its processor's model: "host-model", "maximum", "custom", …; None: there is no choice
    model: str | None = None  # of mode "custom"
    flags: tuple[str, ...] = ()  # besides: "pcid", "-vmx"
    shared: frozenset[int] = frozenset()  # processors that guests share; none: all
    place: Place | None = None  # None: anywhere


@dataclass(frozen=True, slots=True)
class RootDisk:
    path: Path
    image: Path | None  # what it is based on; None: it began empty
    image_format: str = ""


@dataclass(frozen=True, slots=True)
class DomainPlan:
    identity: Identity
    machine: Machine
    vcpus: int
    memory_mib: int
    root: RootDisk
    config_drive: Path | None
    console_log: Path
    account: int | None  # uid and gid of the guest's qemu; None where there is no qemu
    hardware: Hardware
    blanks: tuple[BlankFile, ...] = ()
    processing: Processing = Processing()
    nvram: Path | None = None  # where UEFI keeps its variables
    cdrom: Path | None = None  # an image that the guest has as a CD-ROM

    @property
    def blank_buses(self) -> frozenset[str]:
        """Where it has disks besides the root, if it was said."""
        return frozenset(blank.bus for blank in self.blanks if blank.bus is not None)

    @property
    def is_secure(self) -> bool:
        """Whether UEFI starts only what is signed: it must, or it should and this host can."""
        return is_secure(self.hardware, self.machine)


def is_secure(hardware: Hardware, machine: Machine) -> bool:
    wish = hardware.board.secure_boot
    return wish == REQUIRED or (wish == OPTIONAL and SECURE_BOOT in machine.traits)
