"""What a host is told about a guest, and what it tells about one."""

from __future__ import annotations

import base64
from enum import IntEnum, StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.compute.core.hardware import Hardware


class PowerState(IntEnum):
    """Numbers of Compute's OS-EXT-STS:power_state."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Cause(StrEnum):
    """How a guest that was not asked to came to be off, or to stand still."""

    ENDED = "ended"  # shut down from within
    SWITCHED_OFF = "switched off"
    CRASHED = "crashed"
    SAVED = "saved"
    PAUSED = "paused"
    DISK_FAILED = "disk failed"
    DISK_FULL = "disk full"
    WATCHDOG = "watchdog"


class GuestImage(BaseModel):
    """The image that a guest's root disk starts from."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    sha512: str  # hex, of the bytes as the image service stores them
    size_bytes: int
    disk_format: str  # "qcow2" or "raw": what the image service inspected and recorded, never probed again


class Quiesce(StrEnum):
    """Whether a guest's file systems are to be frozen, by its agent, at the moment that a copy shows."""

    NO = "no"
    TRY = "try"
    MUST = "must"


class DiskKind(StrEnum):
    EPHEMERAL = "ephemeral"
    SWAP = "swap"


class BlankDisk(BaseModel):
    """A disk that a guest has besides its root: with nothing on it, at first, but a file system or swap."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: DiskKind
    size_mib: int
    file_system: str = ""  # of an ephemeral one; "": not chosen yet
    tag: str | None = None  # what its owner calls it, for the guest to find it by
    bus: str | None = None  # where it is plugged in; None: where the root disk is


class GuestSize(BaseModel):
    """What a resize changes."""

    model_config = ConfigDict(frozen=True)

    flavor: str  # its name
    vcpus: int
    memory_mib: int
    root_gib: int  # the root disk grows to this, and never shrinks
    hardware: Hardware | None = None  # None: stays as it is
    disks: tuple[BlankDisk, ...] = ()  # besides it: ephemeral ones grow, swap of another size is made anew


class GuestSpec(BaseModel):
    """All that a host needs to make a guest.  Names are data: nothing here becomes a path but ids."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    server_id: UUID
    name: str
    project_id: str
    user_id: str
    flavor: str
    vcpus: int
    memory_mib: int
    root_gib: int  # 0: as large as the image's virtual size
    image: GuestImage
    hardware: Hardware = Hardware()
    config_drive: dict[str, str] | None = None  # path inside the drive -> text; None: no drive
    config_drive_bytes: dict[str, str] = {}  # and what is no text, in base64
    disks: tuple[BlankDisk, ...] = ()  # besides the root disk, in the order in which the guest sees them
    build: str = ""  # which order made it: a guest of the same one is not made again


def drive_of(spec: GuestSpec) -> dict[str, bytes] | None:
    """Path inside the config drive -> content."""
    if spec.config_drive is None:
        return None
    text = {name: content.encode(errors="replace") for name, content in spec.config_drive.items()}
    return text | {name: base64.b64decode(content) for name, content in spec.config_drive_bytes.items()}


class DiskUse(BaseModel):
    """What a guest did with one disk since it was powered on."""

    model_config = ConfigDict(frozen=True)

    name: str  # "vda"
    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0


class Diagnosis(BaseModel):
    """How a running guest does."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    driver: str  # "libvirt", "simulated"
    hypervisor: str  # "kvm", "qemu", …
    power_state: PowerState
    cpu_times_ns: list[int] = []  # one per vCPU
    memory_kib: int = 0  # what it may have
    memory_used_kib: int = 0
    memory_rss_kib: int = 0  # what its process holds
    disks: list[DiskUse] = []


class GuestFound(BaseModel):
    """A guest of ours that a host has."""

    model_config = ConfigDict(frozen=True)

    server_id: UUID
    power_state: PowerState
    cause: Cause | None = None  # None: it runs, or the hypervisor does not tell
