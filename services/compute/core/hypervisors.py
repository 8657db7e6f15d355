"""What the agent needs of a hypervisor.

Every method may be called twice with the same effect as once; all block, so the agent gives each guest its own thread.
Errors are the platform's: `NotFound` (no such guest here), `HostFailed` (this host can't, another may),
`Unavailable` (try again soon), `Conflict`, `InvalidInput` (no host ever could).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.compute.core.consoles import UNLESS_TOLD, ConsoleKind
from services.compute.core.guests import (
    BlankDisk,
    Cause,
    Diagnosis,
    GuestFound,
    GuestSize,
    GuestSpec,
    PowerState,
    Quiesce,
)
from services.compute.core.hardware.fitting import HostCell


class HostFacts(BaseModel):
    """One host's capacity and kind, as its hypervisor tells."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str  # name on the bus, in the API and in placement
    address: str  # for hypervisor_show's host_ip
    hypervisor_type: str  # "QEMU", "KVM", "simulated"
    hypervisor_version: int  # libvirt's form: major*1000000 + minor*1000 + micro
    vcpus: int  # that guests may share
    memory_mib: int
    disk_gib: int
    cpu_info: dict[str, object] = {}
    traits: tuple[str, ...] = ()
    memory_reserved_mib: int = 0
    disk_free_gib: int = 0
    disk_reserved_gib: int = 0  # what cached images take
    consoles: tuple[ConsoleKind, ...] = UNLESS_TOLD  # that a new guest gets
    pcpus: int = 0  # that are kept for guests with dedicated processors
    cells: tuple[HostCell, ...] = ()  # NUMA cells; none: it does not tell


ARCHITECTURES = {"i386": "i686", "i486": "i686", "i586": "i686", "amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
RUNS_TOO = {"x86_64": "i686", "aarch64": "armv7l"}  # what a processor can do besides
IMAGE_ASKS = {  # properties of images, newer and older names: what they ask of a host
    "hw_architecture": "architecture", "architecture": "architecture",
    "img_hv_type": "kind", "hypervisor_type": "kind", "hw_vm_mode": "mode", "vm_mode": "mode",
}  # fmt: skip


def suits(facts: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether guests of an image can run there.  What a host does not tell is taken for granted."""
    asked = {IMAGE_ASKS[name]: str(value).lower() for name, value in properties.items() if name in IMAGE_ASKS and value}
    own = str((facts.get("cpu_info") or {}).get("arch") or "").lower()
    wanted = ARCHITECTURES.get(asked.get("architecture", ""), asked.get("architecture", own))
    kinds = {"kvm": ("kvm", "qemu"), "simulated": ("kvm", "qemu", "simulated")}
    kind = str(facts.get("hypervisor_type") or "qemu").lower()
    return (
        (not own or wanted in (own, RUNS_TOO.get(own)))
        and asked.get("kind", kind) in kinds.get(kind, (kind,))
        and asked.get("mode", "hvm") == "hvm"
    )


GuestWatcher = Callable[[UUID, PowerState | None], None]
"""Told (server id, new power state); None when the guest is gone."""


class Hypervisor(Protocol):
    def facts(self) -> HostFacts: ...

    def create(self, spec: GuestSpec, image: Path) -> PowerState:
        """Make disks, config drive and guest from a cached image, and power on.

        A guest that exists already is only powered on.  What a dead earlier try left is made good.
        """

    def start(self, server_id: UUID) -> PowerState: ...

    def stop(self, server_id: UUID, *, patience_s: float) -> PowerState:
        """Ask the guest to shut down, again every few seconds; pull the plug after `patience_s` (0: at once)."""

    def reboot(self, server_id: UUID, *, patience_s: float) -> PowerState:
        """Shut down in the guest and start again; after `patience_s` (0: at once) reset hard.

        A guest that is off, paused or suspended is started afresh.  The moment in between is not told to the watcher.
        """

    def pause(self, server_id: UUID) -> PowerState:
        """Stop the guest's processors; its memory stays.  A guest that is off, or paused, stays as it is."""

    def suspend(self, server_id: UUID) -> PowerState:
        """Write the guest's memory to disk and switch it off: the next start goes on where it was.

        A guest that is off stays as it is.
        """

    def rebuild(self, spec: GuestSpec, image: Path) -> PowerState:
        """Replace the guest and its disks by new ones from the image, and power on.

        One that was made by this order already (`spec.build`) is only powered on.
        """

    def resize(self, server_id: UUID, size: GuestSize) -> PowerState:
        """Switch the guest off and give it this size, keeping the way back: its disks and size as they were."""

    def keep_size(self, server_id: UUID) -> PowerState:
        """Forget the way back; none there is fine."""

    def restore_size(self, server_id: UUID, disks: Sequence[BlankDisk]) -> PowerState:
        """Switch the guest off and take the way back, disk contents included; without one the guest stays as it is.

        `disks`: what it had besides its root; swap is not kept and comes from here.
        """

    def rescue(self, spec: GuestSpec, image: Path) -> PowerState:
        """Restart the guest from a fresh disk of this image, its own root disk being the second."""

    def unrescue(self, server_id: UUID) -> PowerState:
        """Switch the guest off and take the rescue disk away; without one the guest stays as it is."""

    def crash(self, server_id: UUID) -> None:
        """Send the guest an NMI: a kernel that is set up for it writes a crash dump.  Conflict if it is off."""

    def set_password(self, server_id: UUID, *, user: str, password: str) -> None:
        """Have the guest's agent set it.  Conflict if it has none that answers, or that refuses."""

    def diagnose(self, server_id: UUID) -> Diagnosis: ...

    def copy_disk(self, server_id: UUID, image_id: UUID, *, quiesce: Quiesce, over: Event) -> Path:
        """A qcow2 file that holds the whole root disk as it is at one moment, and refers to no other file.

        Takes long; given up (Conflict) once `over` is set.  A copy for this image that is there is not made again.
        Conflict, too, if the guest must be quiesced and its agent does not do it.
        """

    def drop_copies(self, server_id: UUID) -> None:
        """End what is under way and remove the files.  None there is fine."""

    def copied(self) -> set[UUID]:
        """Servers with copies here, also half-made ones."""

    def destroy(self, server_id: UUID) -> None:
        """Guest, disk and its copies, config drive, console log: gone.  None there is fine."""

    def state(self, server_id: UUID) -> PowerState:  # NotFound
        ...

    def cause(self, server_id: UUID) -> Cause | None:
        """How the guest came to be off, or to stand still; None if it runs, is gone, or nobody knows."""

    def guests(self) -> list[GuestFound]:
        """Only guests of this cloud and this host; others' domains are never looked at."""

    def leftovers(self) -> set[UUID]:
        """Ids that have files here but no guest."""

    def images_in_use(self) -> set[str]:
        """File names of the cached images that guests here still read: the cache must keep them."""

    def console(self, server_id: UUID, *, max_bytes: int) -> bytes:  # NotFound
        """The newest bytes that the guest wrote to its serial console."""

    def open_console(self, server_id: UUID, kind: ConsoleKind) -> int:
        """A descriptor to read and write the guest's screen or serial line; whoever asked closes it.

        Conflict if the guest is off, or has no such console.
        """

    def watch(self, watcher: GuestWatcher) -> None:
        """Call `watcher` whenever a guest of ours changes by itself or by us, from a thread of the driver's."""

    def ping(self) -> None:
        """Return if the hypervisor answers; Unavailable otherwise."""

    def close(self) -> None: ...
