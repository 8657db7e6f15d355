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
    storage: Path  # disks, console logs and what is remembered about the host
    virt_type: str = "auto"  # "auto", "kvm" or "qemu"
    memory_reserved_mib: int = 512  # kept for the host itself
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
    def consoles(self) -> Path:
        return self.storage / "consoles"
