"""What the compute service answers and tells on the bus: calls to a host's agent, calls to the control plane, events."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.audit import Activity
from common.bus.messages import Call, Event
from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import (
    BlankDisk,
    Cause,
    Diagnosis,
    GuestFound,
    GuestImage,
    GuestSize,
    GuestSpec,
    PowerState,
    Quiesce,
)
from services.compute.core.hypervisors import HostFacts

HOST_QUEUE = "compute.host"  # one queue per host: compute.host.<name>
WORKER_QUEUE = "compute"  # any worker of the control plane


# ---------------------------------------------------------------- answered by a host's agent


class CacheImage(Call[bool]):
    """Have the image on this host, checked against its hash; False if it was there already."""

    queue, timeout_s = HOST_QUEUE, 900.0
    image: GuestImage


class CreateGuest(Call[PowerState]):
    """Make the guest from its cached image and power it on; one that exists is only powered on."""

    queue, timeout_s = HOST_QUEUE, 120.0
    guest: GuestSpec


class StartGuest(Call[PowerState]):
    """Make a guest run: power on, or resume what was paused or suspended; a running guest stays as it is."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID


class StopGuest(Call[PowerState]):
    """Ask the guest to shut down, and pull the plug after `patience_s` (0: at once); one that is off stays off."""

    queue, timeout_s = HOST_QUEUE, 180.0
    server_id: UUID
    patience_s: float = 60


class RebootGuest(Call[PowerState]):
    """Shut down in the guest and start again; after `patience_s` (0: at once) reset hard.  Twice is two reboots."""

    queue, timeout_s = HOST_QUEUE, 240.0
    server_id: UUID
    patience_s: float = 60


class PauseGuest(Call[PowerState]):
    """Stop the guest's processors; a paused guest stays as it is."""

    queue, timeout_s = HOST_QUEUE, 30.0
    server_id: UUID


class SuspendGuest(Call[PowerState]):
    """Write the guest's memory to disk and switch it off; a suspended guest stays as it is."""

    queue, timeout_s = HOST_QUEUE, 180.0
    server_id: UUID


class RebuildGuest(Call[PowerState]):
    """Replace the guest and its disks by new ones; one made by the same order already is only powered on."""

    queue, timeout_s = HOST_QUEUE, 180.0
    guest: GuestSpec


class ResizeGuest(Call[PowerState]):
    """Switch the guest off and give it this size; twice is once."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID
    size: GuestSize


class KeepGuestSize(Call[PowerState]):
    """Forget how large the guest was, and its disks of then."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID


class RestoreGuestSize(Call[PowerState]):
    """Switch the guest off and make it what it was before its resize, disks included."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID
    disks: tuple[BlankDisk, ...] = ()  # that it had besides its root


class RescueGuest(Call[PowerState]):
    """Restart the guest from a disk of this image; one that runs from such a disk stays as it is."""

    queue, timeout_s = HOST_QUEUE, 120.0
    guest: GuestSpec  # with the rescue image


class UnrescueGuest(Call[PowerState]):
    """Switch the guest off and take the rescue disk away."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID


class CrashGuest(Call[None]):
    """Send the guest an NMI.  Twice is two: a kernel that dumps takes the first one alone."""

    queue, timeout_s = HOST_QUEUE, 30.0
    server_id: UUID


class SetGuestPassword(Call[None]):
    """Have the guest's agent set a user's password."""

    queue, timeout_s = HOST_QUEUE, 20.0
    server_id: UUID
    user: str
    password: str = Field(repr=False)


class DiagnoseGuest(Call[Diagnosis]):
    """How the guest does."""

    queue, timeout_s = HOST_QUEUE, 20.0
    server_id: UUID


class CopyDisk(Call[bool]):
    """Have a whole copy of the guest's root disk on its host, for this image; whether it is there by now.

    False: it is being made, ask again.  While it is there, or being made, twice is once.
    """

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID
    image_id: UUID
    quiesce: Quiesce = Quiesce.NO
    wait_s: float = 2


class UploadCopy(Call[bool]):
    """Send that copy to the image service and remove it; whether that is done by now.  An active image is done."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID
    image_id: UUID
    wait_s: float = 2


class DropCopies(Call[None]):
    """End what is done for copies of this server's disk, and remove them.  None there is fine."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID


class DestroyGuest(Call[None]):
    """Guest, disks and copies of them, config drive, console log: gone.  None there is fine."""

    queue, timeout_s = HOST_QUEUE, 60.0
    server_id: UUID


class ReadConsole(Call[str]):
    """The newest part of what the guest wrote to its serial console."""

    queue, timeout_s = HOST_QUEUE, 10.0
    server_id: UUID
    most_bytes: int = 102_400


class ConsoleAt(BaseModel):
    """Where one reader gets the bytes of one console, if it comes within seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    address: str  # HOST:PORT, or unix:PATH on the same machine
    certificate: str | None = None  # PEM: what the host shows over TLS, and nobody else could; None: no TLS
    key: str = Field(repr=False)  # said first; good once
    past: str = Field("", repr=False)  # the newest part of what a serial line said before


class OpenConsole(Call[ConsoleAt]):
    """Open a running guest's console for one reader.  Twice is two; a serial line's new reader takes it from the old one."""

    queue, timeout_s = HOST_QUEUE, 10.0
    server_id: UUID
    kind: ConsoleKind


class ReadUptime(Call[str]):
    """How long the host has been up, its users and load: the line that `uptime` prints, which clients take apart."""

    queue, timeout_s = HOST_QUEUE, 5.0


# ---------------------------------------------------------------- answered by the control plane


class RegisterHost(Call[UUID]):
    """Here is a host, with what it has; answers its id.  Told at the agent's start and whenever the facts change."""

    queue, timeout_s = WORKER_QUEUE, 10.0
    facts: HostFacts


class HostAlive(Call[bool]):
    """A host's heartbeat; False if it is not known (any more) and has to register."""

    queue, timeout_s = WORKER_QUEUE, 5.0
    host: str
    at: datetime


class GuestFate(BaseModel):
    """What the control plane wants of one guest that a host has, or should have."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    server_id: UUID
    fate: Literal["keep", "run", "remove", "tidy", "later"]
    """Leave as it is; power on; no server of ours belongs on this host; nobody wants the copies of its disk; it should run
    again, but something is being done to it: ask once more."""


class CompareGuests(Call[list[GuestFate]]):
    """These guests a host had at `at`: what should become of each, and which others should be there?

    A fate for a guest that is not listed means that it should be there: the host looks again, and tells if it is gone
    (GuestChanged).  `after_boot`: the host was restarted, so guests that ran before should run again.
    """

    queue, timeout_s = WORKER_QUEUE, 30.0
    host: str
    guests: list[GuestFound]
    leftovers: list[UUID] = []
    copied: list[UUID] = []  # servers with copies of their disks here
    after_boot: bool = False
    at: datetime


class GuestChanged(Call[None]):
    """A guest's power state changed on its host, by itself or by somebody else; None: it is gone."""

    queue, timeout_s = WORKER_QUEUE, 10.0
    host: str
    server_id: UUID
    power_state: PowerState | None
    at: datetime
    restarted: bool = False  # by its host, which had been restarted itself
    failure: str | None = None  # why its host, which had been restarted, could not start it again
    cause: Cause | None = None


class SagasDue(Call[None]):
    """A hint: work was committed.  Losing it costs a poll interval."""

    queue, timeout_s = WORKER_QUEUE, 5.0


# ---------------------------------------------------------------- told


class ServerChanged(Event):
    """A server's state as its owner sees it changed."""

    topic: ClassVar[str] = "compute.server.changed"
    server_id: UUID
    project_id: str
    vm_state: str
    task_state: str | None
    power_state: int
    host: str | None = None


class PlacementActivity(Activity):
    """For audit: a call to placement that would change something, and how it ended."""

    topic: ClassVar[str] = "audit.placement.activity"


class ComputeActivity(Activity):
    """For audit: a call to the compute service that would change something, and how it ended."""

    topic: ClassVar[str] = "audit.compute.activity"
