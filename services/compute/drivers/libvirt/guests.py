"""Guests of one host, by way of libvirt.  Calls block; the agent gives each guest its own thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TypeVar
from uuid import UUID

import libvirt

from common.errors import InvalidInput, PlatformError
from services.compute.core.consoles import ConsoleKind
from services.compute.core.guests import (
    BlankDisk,
    Cause,
    Diagnosis,
    GuestFound,
    GuestSize,
    GuestSpec,
    PowerState,
    Quiesce,
    drive_of,
)
from services.compute.core.hardware import Hardware
from services.compute.core.hypervisors import GuestWatcher, HostFacts
from services.compute.core.images import ISO
from services.compute.drivers.images.inspection import virtual_size
from services.compute.drivers.libvirt.accounts import Accounts
from services.compute.drivers.libvirt.connection import Connection
from services.compute.drivers.libvirt.consoles import Consoles, open_console
from services.compute.drivers.libvirt.copies import Copies, source_of
from services.compute.drivers.libvirt.diagnoses import diagnose
from services.compute.drivers.libvirt.disks import RESCUE, Disks
from services.compute.drivers.libvirt.domains import domain_xml, read_images
from services.compute.drivers.libvirt.host import host_facts
from services.compute.drivers.libvirt.levers import (
    cause_or_none,
    crash,
    describe_again,
    forget_memory,
    pause,
    power_on,
    press_power_button,
    pull_the_plug,
    reset,
    set_password,
    state_or_none,
    suspend,
    undefine,
)
from services.compute.drivers.libvirt.machines import Machines
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.owned import OwnDomains, power_state
from services.compute.drivers.libvirt.placing import Placing
from services.compute.drivers.libvirt.plans import DomainPlan, Identity, Processing, RootDisk, is_secure
from services.compute.drivers.libvirt.rescuing import end_rescue, is_rescued, no_root, start_rescue
from services.compute.drivers.libvirt.reshaping import (
    blanks_of,
    board_of,
    forget_way_back,
    give_blanks,
    give_size,
    has_way_back,
    keep_way_back,
    take_way_back,
)
from services.compute.drivers.libvirt.storage import open_libvirt_state, prepare_storage
from services.compute.drivers.libvirt.watching import Watching
from services.compute.drivers.turns import Turns

log = logging.getLogger(__name__)
T = TypeVar("T")

GIB = 1 << 30
PRESS_EVERY_S = 3.0  # a press of the power button is lost on a guest that is still booting
LOOK_EVERY_S = 0.1
LONGEST_START_S = 120.0
LONGEST_SAVE_S = 150.0


class LibvirtHypervisor:
    """The `Hypervisor` of core, on whatever libvirt runs at `options.uri`."""

    def __init__(self, options: LibvirtOptions) -> None:
        """Raises InvalidInput if guests could not reach the storage; libvirt itself may come later."""
        prepare_storage(options)
        self.options = options
        self._accounts = Accounts(options.uid_claims, first_uid=options.first_uid + 1, uid_count=options.uid_count - 1)
        self._consoles = Consoles(options.consoles)
        self._disks = Disks(options)
        self._domains = OwnDomains(options)
        self._machines = Machines(options)
        self._placing = Placing(options, self._domains, self._machines)
        self._turns = Turns()
        self._sizes: dict[Path, int] = {}
        self._watching = Watching(self._looked_at, self.guests)
        self._connection = Connection(options.uri, call_timeout_s=options.call_timeout_s, on_open=self._on_open)
        self._copies = Copies(options, self._connection, self._domains)

    def facts(self) -> HostFacts:
        def tell(connection: libvirt.virConnect) -> HostFacts:
            machine, cells = self._machines.machine(connection), self._placing.cells(connection)
            return host_facts(connection, self.options, machine, cells)

        return self._connection.call(tell)

    def create(self, spec: GuestSpec, image: Path) -> PowerState:
        size_bytes = self._root_size(spec, image)
        server_id = spec.server_id

        def define(connection: libvirt.virConnect) -> None:
            if self._domains.look(connection, server_id) is None:
                with self._placing.place(connection, server_id, spec.hardware.processors) as processing:
                    plan = self._plan(connection, spec, image.absolute(), size_bytes, processing)
                    connection.defineXML(domain_xml(plan))

        with self._turns.of(server_id), self._watching.quiet(server_id):
            self._connection.call(define, server_id=server_id)
            return self._power_on(server_id)

    def rebuild(self, spec: GuestSpec, image: Path) -> PowerState:
        self._root_size(spec, image)  # refused before anything is gone
        server_id = spec.server_id

        def clear(connection: libvirt.virConnect) -> None:
            if not self._domains.is_of(connection, server_id, spec.build):
                self._remove(connection, server_id)

        with self._watching.quiet(server_id):
            self._connection.call(clear, server_id=server_id)
            return self.create(spec, image)

    def resize(self, server_id: UUID, size: GuestSize) -> PowerState:
        def change(connection: libvirt.virConnect) -> PowerState:
            domain = self._off(connection, server_id)
            keep_way_back(domain)
            hardware = size.hardware or Hardware()
            with self._placing.place(connection, server_id, hardware.processors) as processing:
                give_blanks(domain, self._disks.have_blanks(server_id, size.disks))
                give_size(domain, size, processing, hardware, self._refit_plan(connection, domain, size))
            self._disks.grow_root(connection, server_id, size.root_gib * GIB)
            return power_state(domain)

        with self._watching.quiet(server_id):
            return self._connection.call(change, server_id=server_id)

    def keep_size(self, server_id: UUID) -> PowerState:
        def change(domain: libvirt.virDomain) -> PowerState:
            forget_way_back(domain)
            self._disks.tidy_blanks(server_id, blanks_of(domain))
            return power_state(domain)

        return self._with(server_id, change)

    def restore_size(self, server_id: UUID, disks: Sequence[BlankDisk]) -> PowerState:
        def change(connection: libvirt.virConnect) -> PowerState:
            domain = self._domains.find(connection, server_id)
            if has_way_back(domain):
                take_way_back(self._off(connection, server_id))
            blanks = self._disks.have_blanks(server_id, disks)
            if blanks_of(domain) != list(blanks):  # swap, which no way back leads to
                give_blanks(self._off(connection, server_id), blanks)
            self._disks.tidy_blanks(server_id, blanks)
            return power_state(domain)

        with self._watching.quiet(server_id):
            return self._connection.call(change, server_id=server_id)

    def rescue(self, spec: GuestSpec, image: Path) -> PowerState:
        size_bytes, server_id = 0 if _is_cdrom(spec) else self._root_size(spec, image), spec.server_id
        kept = self._disks.description_path(server_id)

        def change(connection: libvirt.virConnect) -> None:
            domain = self._domains.find(connection, server_id)
            if is_rescued(domain, kept):
                return
            domain = self._off(connection, server_id)
            start_rescue(domain, kept, self._rescue_plan(connection, spec, image.absolute(), size_bytes))

        with self._watching.quiet(server_id):
            self._connection.call(change, server_id=server_id)
            return self._power_on(server_id)

    def unrescue(self, server_id: UUID) -> PowerState:
        def change(connection: libvirt.virConnect) -> PowerState:
            domain, kept = self._domains.find(connection, server_id), self._disks.description_path(server_id)
            if kept.exists():
                end_rescue(self._off(connection, server_id), kept)
            self._disks.remove_rescue(connection, server_id)
            return power_state(domain)

        with self._watching.quiet(server_id):
            return self._connection.call(change, server_id=server_id)

    def _off(self, connection: libvirt.virConnect, server_id: UUID) -> libvirt.virDomain:
        """The domain, without power or remembered memory.  NotFound"""
        domain = self._domains.find(connection, server_id)
        pull_the_plug(domain)
        forget_memory(domain)
        return domain

    def crash(self, server_id: UUID) -> None:
        self._with(server_id, crash)

    def set_password(self, server_id: UUID, *, user: str, password: str) -> None:
        self._with(server_id, lambda domain: set_password(domain, user, password))

    def diagnose(self, server_id: UUID) -> Diagnosis:
        return self._with(server_id, diagnose)

    def start(self, server_id: UUID) -> PowerState:
        return self._power_on(server_id)

    def stop(self, server_id: UUID, *, patience_s: float) -> PowerState:
        if not self._shut_down(server_id, patience_s):
            self._with(server_id, pull_the_plug)
        return self.state(server_id)

    def reboot(self, server_id: UUID, *, patience_s: float) -> PowerState:
        with self._watching.quiet(server_id):
            if not self._shut_down(server_id, patience_s):
                with suppress(PlatformError):  # a qemu that doesn't listen is replaced
                    self._with(server_id, reset)
                    return self._power_on(server_id)
                self._with(server_id, pull_the_plug)
            self._with(server_id, forget_memory)
            return self._power_on(server_id)

    def pause(self, server_id: UUID) -> PowerState:
        return self._with(server_id, pause)

    def suspend(self, server_id: UUID) -> PowerState:
        return self._connection.call(
            lambda connection: suspend(self._domains.find(connection, server_id)),
            timeout_s=max(self.options.call_timeout_s, LONGEST_SAVE_S),
            server_id=server_id,
        )

    def copy_disk(self, server_id: UUID, image_id: UUID, *, quiesce: Quiesce, over: Event) -> Path:
        return self._copies.make(server_id, image_id, quiesce=quiesce, over=over)

    def drop_copies(self, server_id: UUID) -> None:
        self._copies.drop(server_id)

    def copied(self) -> set[UUID]:
        return self._copies.owners()

    def destroy(self, server_id: UUID) -> None:
        with self._turns.of(server_id), self._watching.quiet(server_id):
            self._connection.call(lambda connection: self._remove(connection, server_id), server_id=server_id)
            self._copies.drop(server_id)
            self._consoles.remove(server_id)
            self._accounts.release(server_id)

    def state(self, server_id: UUID) -> PowerState:  # NotFound
        return self._with(server_id, power_state)

    def cause(self, server_id: UUID) -> Cause | None:
        with suppress(PlatformError):  # gone by now, or libvirt is
            return self._with(server_id, cause_or_none)
        return None

    def guests(self) -> list[GuestFound]:
        return self._connection.call(
            lambda connection: [
                GuestFound(server_id=server_id, power_state=state, cause=cause_or_none(domain))
                for server_id, domain in self._domains.every(connection).items()
                if (state := state_or_none(domain)) is not None
            ]
        )

    def leftovers(self) -> set[UUID]:
        def find(connection: libvirt.virConnect) -> set[UUID]:
            with_files = self._disks.owners(connection) | self._consoles.owners() | self._copies.owners()
            return with_files - self._domains.every(connection).keys()  # asked last: files come before their guest

        return self._connection.call(find)

    def images_in_use(self) -> set[str]:
        def find(connection: libvirt.virConnect) -> set[str]:
            domains = self._domains.every(connection).values()
            return set().union(*(read_images(domain.XMLDesc()) for domain in domains))

        return self._connection.call(find)

    def console(self, server_id: UUID, *, max_bytes: int) -> bytes:  # NotFound
        self.state(server_id)
        return self._consoles.newest(server_id, max_bytes=max_bytes)

    def open_console(self, server_id: UUID, kind: ConsoleKind) -> int:
        return self._with(server_id, lambda domain: open_console(domain, kind))

    def watch(self, watcher: GuestWatcher) -> None:
        self._watching.start(watcher)

    def ping(self) -> None:
        self._connection.call(lambda connection: connection.getLibVersion(), timeout_s=5)

    def retire(self) -> None:
        """Take what this agent keeps in libvirt, besides guests, out of it again."""
        self._connection.call(self._disks.retire)

    def close(self) -> None:
        self._watching.stop()
        with suppress(PlatformError):
            self._connection.call(self._watching.leave, timeout_s=2)
        self._connection.close()

    def _on_open(self, connection: libvirt.virConnect) -> None:
        self._machines.forget()
        if self.options.uri.startswith("qemu"):
            open_libvirt_state()
        self._watching.listen(connection)

    def _looked_at(self, server_id: UUID) -> PowerState:  # NotFound
        """How it is, after something happened to it."""

        def look(domain: libvirt.virDomain) -> PowerState:
            if describe_again(domain):
                log.warning(
                    "a guest that runs was undefined, and is described again", extra={"server_id": str(server_id)}
                )
            return power_state(domain)

        return self._with(server_id, look)

    def _remove(self, connection: libvirt.virConnect, server_id: UUID) -> None:
        """Guest and disks."""
        domain = self._domains.look(connection, server_id)
        if domain is not None:
            pull_the_plug(domain)
            undefine(domain)
        self._disks.remove(connection, server_id)

    def _with(self, server_id: UUID, act: Callable[[libvirt.virDomain], T]) -> T:  # NotFound
        return self._connection.call(
            lambda connection: act(self._domains.find(connection, server_id)), server_id=server_id
        )

    def _power_on(self, server_id: UUID) -> PowerState:
        return self._connection.call(
            lambda connection: power_on(self._domains.find(connection, server_id)),
            timeout_s=max(self.options.call_timeout_s, LONGEST_START_S),
            server_id=server_id,
        )

    def _shut_down(self, server_id: UUID, patience_s: float) -> bool:
        """True once the guest is off; False if it runs on after `patience_s`, or can't hear."""
        end = monotonic() + patience_s
        next_press = 0.0
        while (state := self.state(server_id)) is not PowerState.SHUTDOWN:
            now = monotonic()
            if now >= end or state is not PowerState.RUNNING:
                return False
            if now >= next_press:
                self._with(server_id, press_power_button)
                next_press = now + PRESS_EVERY_S
            Event().wait(LOOK_EVERY_S)
        return True

    def _root_size(self, spec: GuestSpec, image: Path) -> int:
        """Bytes of the root disk: the flavor's, or the image's own size where the flavor says none."""
        if spec.image.disk_format == ISO:
            return spec.root_gib * GIB
        if image not in self._sizes:
            self._sizes[image] = virtual_size(image, spec.image.disk_format)  # a cached image never changes
        size_bytes, wanted = self._sizes[image], spec.root_gib * GIB
        if 0 < wanted < size_bytes:
            raise InvalidInput(
                f"Image {spec.image.id} needs a disk of {size_bytes / GIB:.1f} GiB; the flavor's has {spec.root_gib} GiB"
            )
        return max(size_bytes, wanted)

    def _plan(
        self, connection: libvirt.virConnect, spec: GuestSpec, image: Path, size_bytes: int, processing: Processing
    ) -> DomainPlan:
        is_iso = spec.image.disk_format == ISO
        root = self._disks.make_root(
            connection, spec.server_id, size_bytes=size_bytes,
            image=None if is_iso else image, image_format=spec.image.disk_format,
        )  # fmt: skip
        blanks = self._disks.make_blanks(spec.server_id, spec.disks)
        planned = self._planned(connection, spec, root, cdrom=image if is_iso else None)
        return replace(planned, blanks=blanks, processing=processing)

    def _refit_plan(
        self, connection: libvirt.virConnect, domain: libvirt.virDomain, size: GuestSize
    ) -> DomainPlan | None:
        """Of a guest that stays on its board and has its disks already, with other hardware; None: it keeps what it has."""
        if (hardware := size.hardware) is None:
            return None
        server_id = UUID(domain.UUIDString())
        machine = replace(self._machines.machine(connection), board=board_of(domain))
        source = source_of(domain)
        return DomainPlan(
            identity=Identity(self.options.cloud_id, self.options.host, server_id),
            machine=machine,
            vcpus=size.vcpus,
            memory_mib=size.memory_mib,
            hardware=hardware,
            root=RootDisk(source.path, source.image, source.image_format),
            config_drive=None,
            console_log=self._consoles.path(server_id),
            account=None,
            blanks=tuple(blanks_of(domain)),
            nvram=self._disks.nvram_path(server_id, is_secure=is_secure(hardware, machine)),
        )

    def _rescue_plan(self, connection: libvirt.virConnect, spec: GuestSpec, image: Path, size_bytes: int) -> DomainPlan:
        """Its root is the disk that the guest is rescued from; a CD-ROM is no disk of the guest's."""
        if spec.image.disk_format == ISO:
            return self._planned(connection, spec, no_root(), cdrom=image)
        root = self._disks.make_root(
            connection,
            spec.server_id,
            size_bytes=size_bytes,
            image=image,
            image_format=spec.image.disk_format,
            suffix=RESCUE,
        )
        return self._planned(connection, spec, root, cdrom=None)

    def _planned(
        self, connection: libvirt.virConnect, spec: GuestSpec, root: RootDisk, *, cdrom: Path | None
    ) -> DomainPlan:
        machine = self._machines.of_board(connection, spec.hardware.board)
        drive = drive_of(spec)
        return DomainPlan(
            identity=Identity.of(spec, cloud_id=self.options.cloud_id, host=self.options.host),
            machine=machine,
            vcpus=spec.vcpus,
            memory_mib=spec.memory_mib,
            hardware=spec.hardware,
            root=root,
            config_drive=None if drive is None else self._disks.make_config_drive(spec.server_id, drive),
            console_log=self._consoles.path(spec.server_id),
            account=self._accounts.claim(spec.server_id) if machine.runs_qemu else None,
            nvram=self._disks.nvram_path(spec.server_id, is_secure=is_secure(spec.hardware, machine)),
            cdrom=cdrom,
        )


def _is_cdrom(spec: GuestSpec) -> bool:
    return spec.image.disk_format == ISO
