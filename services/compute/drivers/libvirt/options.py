"""How one agent uses libvirt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtOptions:
    uri: str = "qemu:///system"
    host: str  # this host's name; with `cloud_id` it says which guests are ours
    address: str
    cloud_id: str  # UUID text; several clouds may share one libvirtd
    storage: Path  # disks and copies of them, console logs and what is remembered about the host
    virt_type: str = "auto"  # "auto", "kvm" or "qemu"
    screens: tuple[str, ...] = ("vnc", "spice")  # what new guests get of these, if qemu has it
    memory_reserved_mib: int = 512  # kept for the host itself
    config_drive_format: str = "iso9660"  # or "vfat"
    cpu_mode: str = "auto"  # which processor guests see: see AgentSettings
    cpu_models: tuple[str, ...] = ()  # of mode "custom", the one that is liked best first
    cpu_flags: tuple[str, ...] = ()  # features with or without: "pcid", "-vmx"
    dedicated_cpus: frozenset[int] = frozenset()  # of the host, for guests that have processors of their own
    shared_cpus: frozenset[int] | None = None  # for all others; None: all there are
    call_timeout_s: float = 60
    # Guests run under accounts of their own, from a range that no distribution, container or systemd hands out.
    first_uid: int = 0x70000000
    uid_count: int = 0x0FF00000
    uid_claims: Path = Path(
        "/var/lib/pileus/uids"
    )  # one for the machine: no two guests share an account, whatever their cloud

    @property
    def pool(self) -> str:
        return f"pileus-{self.cloud_id[:8]}-{self.host}"

    @property
    def disks(self) -> Path:
        return self.storage / "disks"

    @property
    def copies(self) -> Path:
        return self.storage / "copies"

    @property
    def consoles(self) -> Path:
        return self.storage / "consoles"
