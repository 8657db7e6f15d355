"""Guests that take time, keep state and fail on request, but run nothing.

Each is a few hundred bytes, and a host has no thread of its own: ten thousand hosts fit into one process.  With a
state file guests outlive their agent, as real ones would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from uuid import UUID

from pydantic import BaseModel, TypeAdapter

from common.errors import Conflict, HostFailed, InvalidInput, NotFound
from services.compute.core.guests import Diagnosis, DiskUse, GuestFound, GuestSize, GuestSpec, PowerState
from services.compute.core.hypervisors import GuestWatcher, HostFacts
from services.compute.drivers.images.inspection import virtual_size
from services.compute.drivers.simulated.faults import Faults

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    host: str
    address: str = "127.0.0.1"
    vcpus: int = 16
    memory_mib: int = 65536
    disk_gib: int = 1024
    memory_reserved_mib: int = 512
    state_file: Path | None = None  # None: in memory only
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
    before: tuple[int, int, int] | None = None  # vCPUs, MiB, GiB: the way back from a resize
    rescue_image: str | None = None


_STORED = TypeAdapter(dict[UUID, SimulatedGuest])


@dataclass(slots=True)
class SimulatedHypervisor:
    options: SimulatedOptions
    faults: Faults = field(default_factory=Faults)
    _guests: dict[UUID, SimulatedGuest] = field(default_factory=dict)
    _watcher: GuestWatcher | None = None
    _lock: Lock = field(default_factory=Lock)

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
                memory_mib=options.memory_mib,
                disk_gib=options.disk_gib,
                cpu_info={"arch": "x86_64", "model": "simulated", "vendor": "Pileus", "topology": {}, "features": []},
                traits=("CUSTOM_PILEUS_SIMULATED",),
                memory_reserved_mib=options.memory_reserved_mib,
                disk_free_gib=max(options.disk_gib - sum(guest.root_gib for guest in self._guests.values()), 0),
            )

    def create(self, spec: GuestSpec, image: Path) -> PowerState:
        with self._trouble("create"):
            if self.options.reads_images:
                _refuse_too_large(spec, image)
            with self._change():
                if spec.server_id not in self._guests:
                    self._refuse_full(spec)
                    self._guests[spec.server_id] = _described(spec, image)
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
                    self._guests[spec.server_id] = _described(spec, image)
            return self._set(spec.server_id, PowerState.RUNNING, says="booting\n")

    def resize(self, server_id: UUID, size: GuestSize) -> PowerState:
        with self._trouble("resize"):
            with self._change():
                guest = self._found(server_id)
                guest.before = guest.before or (guest.vcpus, guest.memory_mib, guest.root_gib)
                guest.vcpus, guest.memory_mib = size.vcpus, size.memory_mib
                guest.root_gib = max(guest.root_gib, size.root_gib)
            return self._set(server_id, PowerState.SHUTDOWN, says="powered off\n")

    def keep_size(self, server_id: UUID) -> PowerState:
        with self._trouble("keep_size"), self._change():
            guest = self._found(server_id)
            guest.before = None
            return guest.power_state

    def restore_size(self, server_id: UUID) -> PowerState:
        with self._trouble("restore_size"):
            with self._change():
                guest = self._found(server_id)
                if guest.before is None:
                    return guest.power_state
                guest.vcpus, guest.memory_mib, guest.root_gib = guest.before
                guest.before = None
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
                disks=[DiskUse(name="vda")],
            )

    def destroy(self, server_id: UUID) -> None:
        with self._trouble("destroy"):
            with self._change():
                existed = self._guests.pop(server_id, None)
            if existed:
                self._tell(server_id, None)

    def state(self, server_id: UUID) -> PowerState:
        with self._trouble("state"):
            return self._found(server_id).power_state

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

    def watch(self, watcher: GuestWatcher) -> None:
        self._watcher = watcher

    def ping(self) -> None:
        with self._trouble("ping"):
            return

    def close(self) -> None:
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
            if changed:
                guest.power_state = state
                guest.console += says
        if changed:
            self._tell(server_id, state)
        return state

    def _say(self, server_id: UUID, text: str) -> None:
        with self._change():
            self._found(server_id).console += text

    def _tell(self, server_id: UUID, state: PowerState | None) -> None:
        if self._watcher:
            self._watcher(server_id, state)

    def _refuse_full(self, spec: GuestSpec) -> None:
        used = sum(guest.memory_mib for guest in self._guests.values())
        if used + spec.memory_mib > self.options.memory_mib:
            raise HostFailed(f"Host {self.options.host} has no memory left for this guest")


def _described(spec: GuestSpec, image: Path) -> SimulatedGuest:
    return SimulatedGuest(
        power_state=PowerState.SHUTDOWN,
        vcpus=spec.vcpus,
        memory_mib=spec.memory_mib,
        root_gib=spec.root_gib,
        image=image.name,
        build=spec.build,
        console=f"{spec.server_id} on a simulated host\n",
    )


def _refuse_too_large(spec: GuestSpec, image: Path) -> None:
    if virtual_size(image, spec.image.disk_format) > spec.root_gib * GIB > 0:
        raise InvalidInput("The image is larger than the flavor's disk")


def _store(path: Path, guests: dict[UUID, SimulatedGuest]) -> None:
    """Replace the file in one step: a killed process leaves the old state or the new one."""
    half = path.with_name(f"{path.name}.new")
    half.write_bytes(_STORED.dump_json(guests))
    half.chmod(0o600)
    half.replace(path)
