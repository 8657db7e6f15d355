"""What a host is told about a guest, and what it tells about one."""

from __future__ import annotations

from enum import IntEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class PowerState(IntEnum):
    """Numbers of Compute's OS-EXT-STS:power_state."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class GuestImage(BaseModel):
    """The image that a guest's root disk starts from."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    sha512: str  # hex, of the bytes as the image service stores them
    size_bytes: int
    disk_format: str  # "qcow2" or "raw": what the image service inspected and recorded, never probed again


class GuestSize(BaseModel):
    """What a resize changes."""

    model_config = ConfigDict(frozen=True)

    flavor: str  # its name
    vcpus: int
    memory_mib: int
    root_gib: int  # the root disk grows to this, and never shrinks


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
    config_drive: dict[str, str] | None = None  # path inside the drive -> text; None: no drive
    build: str = ""  # which order made it: a guest of the same one is not made again


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
