"""Whole copies of guests' root disks: while the guest runs, by qemu itself; while it is off, by qemu-img.

What the source and its base are comes from the guest's description, never from the bytes of its disk: those the guest (or
a qemu that was taken over) may have written.  A copy has its own name only once it is whole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import TypeVar
from uuid import UUID

import libvirt
from lxml import etree

from common.errors import Conflict, HostFailed
from services.compute.core.guests import Quiesce
from services.compute.drivers.images.conversion import GIVEN_UP, Source, convert, room_for
from services.compute.drivers.libvirt.connection import Connection
from services.compute.drivers.libvirt.disks import ROOT
from services.compute.drivers.libvirt.elements import Element, parse
from services.compute.drivers.libvirt.errors import ignoring, is_about, without_paths
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.owned import OwnDomains
from services.compute.drivers.turns import Turns

log = logging.getLogger(__name__)
T = TypeVar("T")

WHOLE, HALF = ".copy.qcow2", ".half.qcow2"
FIRST_LOOK_S, LOOK_EVERY_S = 0.01, 0.1
ENDING_S = 20  # a job that was ended is gone long before
NO_DATA = "backup job data missing"  # libvirt of a job that it is only just beginning or ending
AGENT_S = 10
FREE_BYTES = 256 << 20  # left for everybody else on the host


class Copies:
    def __init__(self, options: LibvirtOptions, connection: Connection, domains: OwnDomains) -> None:
        self._directory, self._connection, self._domains = options.copies, connection, domains
        self._turns = Turns()
        self._under_way: dict[UUID, Event] = {}

    def make(self, server_id: UUID, image_id: UUID, *, quiesce: Quiesce, over: Event) -> Path:
        whole, half = (self._directory / f"{server_id}.{image_id}{end}" for end in (WHOLE, HALF))
        with self._turns.of(server_id):
            if whole.exists():
                return whole
            self._under_way[server_id] = over
            try:
                self._copy(server_id, half, quiesce, over)
                half.rename(whole)
            finally:
                del self._under_way[server_id]
                half.unlink(missing_ok=True)
        return whole

    def drop(self, server_id: UUID) -> None:
        if (over := self._under_way.get(server_id)) is not None:
            over.set()
        with self._turns.of(server_id):
            self._end_job(server_id)
            for path in self._directory.glob(f"{server_id}.*"):
                path.unlink(missing_ok=True)

    def owners(self) -> set[UUID]:
        found: set[UUID] = set()
        for path in self._directory.glob("*.qcow2"):
            with suppress(ValueError):
                found.add(UUID(path.name.partition(".")[0]))
        return found

    def _copy(self, server_id: UUID, half: Path, quiesce: Quiesce, over: Event) -> None:
        if over.is_set():  # qemu may be done with a small disk before anybody looks again
            raise Conflict(GIVEN_UP)
        source = self._connection.call(
            lambda connection: source_of(self._domains.find(connection, server_id)), server_id=server_id
        )
        half.unlink(missing_ok=True)
        room_for(source, self._directory, spare=FREE_BYTES)
        if self._is_on(server_id):
            try:
                return self._copy_live(server_id, half, quiesce, over)
            except (Conflict, HostFailed):
                if over.is_set() or quiesce is Quiesce.MUST or self._is_on(server_id):
                    raise
            half.unlink(missing_ok=True)  # it went off meanwhile
        convert(source, half, over=over)
        return None

    def _copy_live(self, server_id: UUID, half: Path, quiesce: Quiesce, over: Event) -> None:
        """By qemu, while the guest goes on: it writes what was there when the copy began."""

        def begin(domain: libvirt.virDomain) -> None:
            with frozen(domain, quiesce):
                domain.backupBegin(job_xml(domain, half), None, 0)

        self._end_job(server_id)
        self._with(server_id, begin)
        pause_s = FIRST_LOOK_S
        while self._look(server_id, is_at_work, False):
            if over.wait(pause_s):
                self._end_job(server_id)
                raise Conflict(GIVEN_UP)
            pause_s = min(pause_s * 2, LOOK_EVERY_S)
        self._with(server_id, must_have_ended_well)

    def _end_job(self, server_id: UUID) -> None:
        """Also one of an agent that died while it began: that can be ended only once it is there."""
        pause, deadline = Event(), time.monotonic() + ENDING_S
        while self._look(server_id, end_job, False) and time.monotonic() < deadline:
            pause.wait(FIRST_LOOK_S)

    def _is_on(self, server_id: UUID) -> bool:
        return self._look(server_id, lambda domain: bool(domain.isActive()), False)

    def _with(self, server_id: UUID, act: Callable[[libvirt.virDomain], T]) -> T:  # NotFound
        return self._connection.call(
            lambda connection: act(self._domains.find(connection, server_id)), server_id=server_id
        )

    def _look(self, server_id: UUID, act: Callable[[libvirt.virDomain], T], otherwise: T) -> T:
        """`otherwise`, if the guest is not there (any more)."""

        def look(connection: libvirt.virConnect) -> T:
            domain = self._domains.look(connection, server_id)
            return otherwise if domain is None else act(domain)

        return self._connection.call(look, server_id=server_id)


def source_of(domain: libvirt.virDomain) -> Source:
    """The root disk and what it is based on, as the guest was described to libvirt."""
    disk = _root(parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)))
    image, kind = disk.find("backingStore/source"), disk.find("backingStore/format")
    return Source(
        path=Path(_attribute(disk.find("source"), "file")),
        image=None if image is None else Path(_attribute(image, "file")),
        image_format="" if image is None else _attribute(kind, "type"),
    )


def _root(description: Element) -> Element:
    for disk in description.iterfind("devices/disk"):
        source = disk.find("source")
        if source is not None and source.get("file", "").endswith(ROOT):
            return disk
    raise HostFailed("The guest has no root disk")


def _attribute(element: Element | None, name: str) -> str:
    value = None if element is None else element.get(name)
    if value is None:
        raise HostFailed("The guest's description lacks what its root disk is based on")
    return value


def job_xml(domain: libvirt.virDomain, target: Path) -> str:
    """Format: https://libvirt.org/formatbackup.html"""
    description = parse(domain.XMLDesc())
    root = _attribute(_root(description).find("target"), "dev")
    job = etree.Element("domainbackup", mode="push")
    disks = etree.SubElement(job, "disks")
    for one in description.iterfind("devices/disk/target"):
        name = str(one.get("dev"))
        if name != root:
            etree.SubElement(disks, "disk", name=name, backup="no")
            continue
        disk = etree.SubElement(disks, "disk", name=name, backup="yes", type="file")
        etree.SubElement(disk, "driver", type="qcow2")
        etree.SubElement(disk, "target", file=str(target))
    return etree.tostring(job, encoding="unicode")


def is_at_work(domain: libvirt.virDomain) -> bool:
    try:
        return bool(domain.isActive()) and domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
            return False
        if is_about(error, libvirt.VIR_ERR_INTERNAL_ERROR) and NO_DATA in str(error):
            return True
        raise


def must_have_ended_well(domain: libvirt.virDomain) -> None:
    """Conflict if the guest was switched off meanwhile; HostFailed with what qemu said."""
    try:
        done = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_OPERATION_INVALID):
            raise Conflict("The guest was switched off while its disk was copied") from error
        raise
    if done.get("type") != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        raise HostFailed(f"The disk could not be copied: {without_paths(str(done.get('errmsg', 'it was ended')))}")


def end_job(domain: libvirt.virDomain) -> bool:
    """Whether there was one; it may take a moment to end."""
    with ignoring(libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_DOMAIN):
        if is_at_work(domain):
            domain.abortJob()
            return True
    return False


@contextmanager
def frozen(domain: libvirt.virDomain, quiesce: Quiesce) -> Iterator[None]:
    """For the block, the guest's file systems are at rest, if that is asked for.  Conflict if they must be and can't"""
    is_frozen = quiesce is not Quiesce.NO and freeze(domain, must=quiesce is Quiesce.MUST)
    try:
        yield
    finally:
        if is_frozen:
            domain.fsThaw()


def freeze(domain: libvirt.virDomain, *, must: bool) -> bool:
    try:
        domain.agentSetResponseTimeout(AGENT_S)
        domain.fsFreeze()
    except libvirt.libvirtError as error:
        with suppress(libvirt.libvirtError):
            domain.fsThaw()  # its answer may only have come too late
        if must:
            raise Conflict("The guest's agent does not freeze its file systems", said=str(error)) from error
        log.info("guest not quiesced", extra={"server_id": domain.UUIDString(), "why": str(error)})
        return False
    return True
