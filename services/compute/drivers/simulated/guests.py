"""Guests that take time, keep state and fail on request, but run nothing.

Each is a few hundred bytes, and a host has no thread of its own: ten thousand hosts fit into one process.  With a
state file guests outlive their agent, as real ones would.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from uuid import UUID

from pydantic import BaseModel, TypeAdapter

from common.errors import Conflict, HostFailed, InvalidInput, NotFound
from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import (
    BlankDisk,
    Cause,
    Diagnosis,
    DiskUse,
    GuestFound,
    GuestSize,
    GuestSpec,
    PowerState,
    Quiesce,
)
from services.compute.core.hardware import Hardware
from services.compute.core.hardware.devices import DISK_PREFIX, NICS, SCREENS
from services.compute.core.hardware.fitting import Held, HostCell, fit
from services.compute.core.hardware.traits import offered
from services.compute.core.hypervisors import GuestWatcher, HostFacts
from services.compute.core.images import ISO
from services.compute.core.local_disks import device_names
from services.compute.drivers.images.inspection import virtual_size
from services.compute.drivers.simulated.disks import empty_disk
from services.compute.drivers.simulated.faults import Faults

GIB = 1 << 30
TRAITS = tuple(
    sorted(
        {"CUSTOM_PILEUS_SIMULATED"}
        | offered(
            buses=DISK_PREFIX,
            screens=SCREENS,
            nics=NICS,
            viommus=("intel", "virtio", "auto"),
            has_uefi=True,
            is_secure=True,
        )
    )
)
FIRST_WORDS = {ConsoleKind.VNC: b"RFB 003.008\n", ConsoleKind.SPICE: b"REDQ"}


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    host: str
    address: str = "127.0.0.1"
    vcpus: int = 16
    pcpus: int = 0  # for guests that have some of their own
    memory_mib: int = 65536
    disk_gib: int = 1024
    memory_reserved_mib: int = 512
    state_file: Path | None = None  # None: in memory only
    copies: Path | None = None  # directory of copies of disks; None: there is no room for any
    reads_images: bool = (
        False  # True: open the image and compare its size with the flavor's disk, as libvirt's driver does
    )


class SimulatedGuest(BaseModel):
    power_state: PowerState
    vcpus: int
    memory_mib: int
    root_gib: int
    image: str
    console: str = ""
    build: str = ""
    disks: tuple[BlankDisk, ...] = ()
    pins: tuple[int, ...] = ()  # processors of the host that are its own
    before: tuple[int, int, int] | None = None  # vCPUs, MiB, GiB: the way back from a resize
    pins_before: tuple[int, ...] = ()
    rescue_image: str | None = None


_STORED = TypeAdapter(dict[UUID, SimulatedGuest])


@dataclass(slots=True)
class SimulatedHypervisor:
    options: SimulatedOptions
    faults: Faults = field(default_factory=Faults)
    _guests: dict[UUID, SimulatedGuest] = field(default_factory=dict)
    _watcher: GuestWatcher | None = None
    _lock: Lock = field(default_factory=Lock)
    _wires: dict[UUID, list[socket.socket]] = field(default_factory=dict)  # of open consoles

    def __post_init__(self) -> None:
        if self.options.state_file and self.options.state_file.exists():
            self._guests = _STORED.validate_json(self.options.state_file.read_bytes())

    def facts(self) -> HostFacts:
        with self._trouble("facts"):
            options = self.options
            return HostFacts(
                host=options.host,
                address=options.address,
                hypervisor_type="simulated",
                hypervisor_version=1_000_000,
                vcpus=options.vcpus,
                pcpus=options.pcpus,
                cells=self._cells(),
                memory_mib=options.memory_mib,
                disk_gib=options.disk_gib,
                cpu_info={"arch": "x86_64", "model": "simulated", "vendor": "Pileus", "topology": {}, "features": []},
                traits=TRAITS,
                memory_reserved_mib=options.memory_reserved_mib,
                consoles=tuple(ConsoleKind),
                disk_free_gib=max(options.disk_gib - sum(_disk_gib(guest) for guest in self._guests.values()), 0),
            )

    def create(self, spec: GuestSpec, image: Path) -> PowerState:
        with self._trouble("create"):
            if self.options.reads_images:
                _refuse_too_large(spec, image)
            with self._change():
                if spec.server_id not in self._guests:
                    self._refuse_full(spec)
                    pins = self._pins(spec.server_id, spec.hardware)
                    self._guests[spec.server_id] = _described(spec, image, pins)
            return self._set(spec.server_id, PowerState.RUNNING, says="booting\n")

    def start(self, server_id: UUID) -> PowerState:
        with self._trouble("start"):
            return self._set(server_id, PowerState.RUNNING, says="booting\n")

    def stop(self, server_id: UUID, *, patience_s: float) -> PowerState:
        with self._trouble("stop"):
            return self._set(server_id, PowerState.SHUTDOWN, says="powered off\n")

    def reboot(self, server_id: UUID, *, patience_s: float) -> PowerState:
        with self._trouble("reboot"):
            self._say(server_id, "rebooting\n")
            return self._set(server_id, PowerState.RUNNING, says="booting\n")

    def pause(self, server_id: UUID) -> PowerState:
        with self._trouble("pause"):
            state = self._found(server_id).power_state
            return self._set(server_id, PowerState.PAUSED if state is PowerState.RUNNING else state, says="")

    def suspend(self, server_id: UUID) -> PowerState:
        with self._trouble("suspend"):
            return self._set(server_id, PowerState.SHUTDOWN, says="suspended\n")

    def rebuild(self, spec: GuestSpec, image: Path) -> PowerState:
        with self._trouble("rebuild"):
            if self.options.reads_images:
                _refuse_too_large(spec, image)
            with self._change():
                known = self._guests.get(spec.server_id)
                if known is None or known.build != spec.build:
                    pins = self._pins(spec.server_id, spec.hardware)
                    self._guests[spec.server_id] = _described(spec, image, pins)
            return self._set(spec.server_id, PowerState.RUNNING, says="booting\n")

    def resize(self, server_id: UUID, size: GuestSize) -> PowerState:
        with self._trouble("resize"):
            with self._change():
                guest = self._found(server_id)
                if guest.before is None:
                    guest.before, guest.pins_before = (guest.vcpus, guest.memory_mib, guest.root_gib), guest.pins
                guest.pins = self._pins(server_id, size.hardware or Hardware())
                guest.vcpus, guest.memory_mib = size.vcpus, size.memory_mib
                guest.root_gib = max(guest.root_gib, size.root_gib)
                guest.disks = size.disks
            return self._set(server_id, PowerState.SHUTDOWN, says="powered off\n")

    def keep_size(self, server_id: UUID) -> PowerState:
        with self._trouble("keep_size"), self._change():
            guest = self._found(server_id)
            guest.before, guest.pins_before = None, ()
            return guest.power_state

    def restore_size(self, server_id: UUID, disks: Sequence[BlankDisk]) -> PowerState:
        with self._trouble("restore_size"):
            with self._change():
                guest = self._found(server_id)
                if guest.before is None:
                    return guest.power_state
                guest.vcpus, guest.memory_mib, guest.root_gib = guest.before
                guest.disks, guest.pins = tuple(disks), guest.pins_before
                guest.before, guest.pins_before = None, ()
            return self._set(server_id, PowerState.SHUTDOWN, says="powered off\n")

    def rescue(self, spec: GuestSpec, image: Path) -> PowerState:
        with self._trouble("rescue"):
            with self._change():
                self._found(spec.server_id).rescue_image = image.name
            return self._set(spec.server_id, PowerState.RUNNING, says="booting\n")

    def unrescue(self, server_id: UUID) -> PowerState:
        with self._trouble("unrescue"):
            with self._change():
                guest = self._found(server_id)
                if guest.rescue_image is None:
                    return guest.power_state
                guest.rescue_image = None
            return self._set(server_id, PowerState.SHUTDOWN, says="powered off\n")

    def crash(self, server_id: UUID) -> None:
        with self._trouble("crash"):
            if self._found(server_id).power_state is PowerState.SHUTDOWN:
                raise Conflict("The guest is off")
            self._say(server_id, "NMI received\n")

    def set_password(self, server_id: UUID, *, user: str, password: str) -> None:
        with self._trouble("set_password"):
            if self._found(server_id).power_state is not PowerState.RUNNING:
                raise Conflict("The guest's agent does not answer")

    def diagnose(self, server_id: UUID) -> Diagnosis:
        with self._trouble("diagnose"):
            guest = self._found(server_id)
            return Diagnosis(
                driver="simulated",
                hypervisor="simulated",
                power_state=guest.power_state,
                cpu_times_ns=[0] * guest.vcpus,
                memory_kib=guest.memory_mib * 1024,
                disks=[DiskUse(name=name) for name in ("vda", *device_names(guest.disks).values())],
            )

    def copy_disk(self, server_id: UUID, image_id: UUID, *, quiesce: Quiesce, over: Event) -> Path:
        with self._trouble("copy_disk"):
            guest = self._found(server_id)
            if quiesce is Quiesce.MUST and guest.power_state is PowerState.RUNNING:
                raise Conflict("The guest's agent does not freeze its file systems")
            if over.is_set():
                raise Conflict("The copy is not wanted any more")
            path = self._copies() / f"{server_id}.{image_id}.copy.qcow2"
            path.write_bytes(empty_disk(max(guest.root_gib, 1) * GIB))
            return path

    def drop_copies(self, server_id: UUID) -> None:
        with self._trouble("drop_copies"):
            self._remove_copies(server_id)

    def copied(self) -> set[UUID]:
        directory = self.options.copies
        found = directory.glob("*.qcow2") if directory is not None and directory.is_dir() else ()
        return {UUID(path.name.partition(".")[0]) for path in found if self._has_made(path)}

    def _has_made(self, path: Path) -> bool:
        """Hosts of one process share the directory."""
        return UUID(path.name.partition(".")[0]) in self._guests

    def _copies(self) -> Path:
        if self.options.copies is None:
            raise HostFailed(f"Host {self.options.host} has no room for a copy of the disk")
        self.options.copies.mkdir(exist_ok=True)
        return self.options.copies

    def _remove_copies(self, server_id: UUID) -> None:
        if self.options.copies is not None:
            for path in self.options.copies.glob(f"{server_id}.*"):
                path.unlink(missing_ok=True)

    def destroy(self, server_id: UUID) -> None:
        with self._trouble("destroy"):
            self._remove_copies(server_id)
            with self._change():
                existed = self._guests.pop(server_id, None)
                self._hang_up(server_id)
            if existed:
                self._tell(server_id, None)

    def state(self, server_id: UUID) -> PowerState:
        with self._trouble("state"):
            return self._found(server_id).power_state

    def cause(self, server_id: UUID) -> Cause | None:
        return None

    def guests(self) -> list[GuestFound]:
        with self._trouble("guests"), self._lock:
            return [GuestFound(server_id=key, power_state=guest.power_state) for key, guest in self._guests.items()]

    def leftovers(self) -> set[UUID]:
        return set()

    def images_in_use(self) -> set[str]:
        with self._lock:
            guests = self._guests.values()
            return {image for guest in guests for image in (guest.image, guest.rescue_image) if image}

    def console(self, server_id: UUID, *, max_bytes: int) -> bytes:
        with self._trouble("console"):
            text = self._found(server_id).console.encode()
            return text[-max_bytes:] if max_bytes > 0 else b""

    def open_console(self, server_id: UUID, kind: ConsoleKind) -> int:
        """Says what a real one would first, and then nothing more."""
        with self._trouble("open_console"):
            guest = self._found(server_id)
            if guest.power_state is PowerState.SHUTDOWN:
                raise Conflict("The guest is off")
            near, far = socket.socketpair()
            far.sendall(FIRST_WORDS.get(kind) or guest.console.encode()[-4096:])
            self._wires.setdefault(server_id, []).append(far)
            return near.detach()

    def watch(self, watcher: GuestWatcher) -> None:
        self._watcher = watcher

    def ping(self) -> None:
        with self._trouble("ping"):
            return

    def close(self) -> None:
        for server_id in list(self._wires):
            self._hang_up(server_id)
        self._watcher = None
        self.faults.release()

    def happen(self, server_id: UUID, state: PowerState) -> None:
        """The guest changes by itself: it halts, crashes, or somebody on the host stops it."""
        self._set(server_id, state, says="")

    @contextmanager
    def _trouble(self, operation: str) -> Iterator[None]:
        late = self.faults.begin(operation)
        yield
        if late:
            raise late

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the guests; store them when the block has ended well."""
        with self._lock:
            yield
            if self.options.state_file:
                _store(self.options.state_file, self._guests)

    def _found(self, server_id: UUID) -> SimulatedGuest:
        guest = self._guests.get(server_id)
        if guest is None:
            raise NotFound(f"Host {self.options.host} has no guest {server_id}")
        return guest

    def _set(self, server_id: UUID, state: PowerState, *, says: str) -> PowerState:
        with self._change():
            guest = self._found(server_id)
            changed = guest.power_state != state
            if state is PowerState.SHUTDOWN:
                self._hang_up(server_id)
            if changed:
                guest.power_state = state
                guest.console += says
        if changed:
            self._tell(server_id, state)
        return state

    def _hang_up(self, server_id: UUID) -> None:
        for wire in self._wires.pop(server_id, ()):
            wire.close()

    def _say(self, server_id: UUID, text: str) -> None:
        with self._change():
            self._found(server_id).console += text

    def _tell(self, server_id: UUID, state: PowerState | None) -> None:
        if self._watcher:
            self._watcher(server_id, state)

    def _cells(self) -> tuple[HostCell, ...]:
        """All of it is one."""
        options, pages = self.options, self.options.memory_mib * 256
        cpus = range(options.pcpus + options.vcpus)
        own, shared = tuple(cpus[: options.pcpus]), tuple(cpus[options.pcpus :])
        return (
            HostCell(number=0, shared=shared, dedicated=own, cores=tuple((cpu,) for cpu in cpus), pages={4: pages}),
        )

    def _pins(self, server_id: UUID, hardware: Hardware) -> tuple[int, ...]:
        """Processors for this guest alone.  HostFailed if there are not so many left"""
        if not hardware.processors.cells:
            return ()
        others = [guest for key, guest in self._guests.items() if key != server_id]
        taken = frozenset(cpu for guest in others for cpu in (*guest.pins, *guest.pins_before))
        own = self._guests.get(server_id)
        place = fit(self._cells(), hardware.processors, Held(taken), like=own.pins if own else ())
        if place is None:
            raise HostFailed(f"Host {self.options.host} has no processors left for this guest")
        pins = {cpu for cell in place.cells for cpus in cell.pins.values() for cpu in (*cpus, *cell.reserved)}
        return tuple(sorted(cpu for cpu in pins if cpu < self.options.pcpus))

    def _refuse_full(self, spec: GuestSpec) -> None:
        used = sum(guest.memory_mib for guest in self._guests.values())
        if used + spec.memory_mib > self.options.memory_mib:
            raise HostFailed(f"Host {self.options.host} has no memory left for this guest")


def _described(spec: GuestSpec, image: Path, pins: tuple[int, ...]) -> SimulatedGuest:
    return SimulatedGuest(
        power_state=PowerState.SHUTDOWN,
        vcpus=spec.vcpus,
        memory_mib=spec.memory_mib,
        root_gib=spec.root_gib,
        disks=spec.disks,
        image=image.name,
        build=spec.build,
        pins=pins,
        console=f"{spec.server_id} on a simulated host\n",
    )


def _disk_gib(guest: SimulatedGuest) -> int:
    """As placement counts them."""
    return guest.root_gib + sum(-(-disk.size_mib // 1024) for disk in guest.disks)


def _refuse_too_large(spec: GuestSpec, image: Path) -> None:
    if spec.image.disk_format != ISO and virtual_size(image, spec.image.disk_format) > spec.root_gib * GIB > 0:
        raise InvalidInput("The image is larger than the flavor's disk")


def _store(path: Path, guests: dict[UUID, SimulatedGuest]) -> None:
    """Replace the file in one step: a killed process leaves the old state or the new one."""
    half = path.with_name(f"{path.name}.new")
    half.write_bytes(_STORED.dump_json(guests))
    half.chmod(0o600)
    half.replace(path)
