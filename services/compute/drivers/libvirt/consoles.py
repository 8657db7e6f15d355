"""Guests' consoles: what they wrote to their serial line, as virtlogd keeps it (FILE, and rotated FILE.0, the newest, to
FILE.N), and connections to the line and the screen of one that runs."""

from __future__ import annotations

import os
import tty
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import libvirt

from common.errors import Conflict, HostFailed
from services.compute.core.consoles import ConsoleKind
from services.compute.drivers.libvirt.domains import serial_line
from services.compute.drivers.libvirt.errors import is_about
from services.compute.drivers.libvirt.screens import graphics_index

MOST_ROTATED = 10


class Consoles:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, server_id: UUID) -> Path:
        return self._directory / f"{server_id}.log"

    def newest(self, server_id: UUID, *, max_bytes: int) -> bytes:
        """At most `max_bytes`, across rotated files; nothing written yet is empty."""
        parts: list[bytes] = []
        missing = max_bytes
        for path in self._files(server_id):
            if missing <= 0:
                break
            part = _tail(path, missing)
            parts.insert(0, part)
            missing -= len(part)
        return b"".join(parts)

    def remove(self, server_id: UUID) -> None:
        for path in self._files(server_id):
            path.unlink(missing_ok=True)

    def owners(self) -> set[UUID]:
        found: set[UUID] = set()
        for path in self._directory.glob("*.log*") if self._directory.is_dir() else ():
            with suppress(ValueError):
                found.add(UUID(path.name.partition(".")[0]))
        return found

    def _files(self, server_id: UUID) -> list[Path]:
        """Newest first."""
        path = self.path(server_id)
        return [path, *(path.with_name(f"{path.name}.{number}") for number in range(MOST_ROTATED))]


def _tail(path: Path, max_bytes: int) -> bytes:
    """The end of a file that may just be rotated away."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - max_bytes, 0))
            return file.read(max_bytes)
    except FileNotFoundError:
        return b""
    except PermissionError as error:
        raise HostFailed(
            "The agent may not read the console log; run it as the user of virtlogd", path=str(path)
        ) from error


def open_console(domain: libvirt.virDomain, kind: ConsoleKind) -> int:
    """A descriptor to read and write.  Conflict if the guest is off, or was made without such a console."""
    if not domain.isActive():
        raise Conflict("The guest is off")
    return _line(domain) if kind is ConsoleKind.SERIAL else _screen(domain, kind)


def _screen(domain: libvirt.virDomain, kind: ConsoleKind) -> int:
    """A connection that libvirt makes for us within qemu: no address listens for another."""
    index = graphics_index(domain.XMLDesc(), kind)
    if index is None:
        raise Conflict("The guest has no such screen")
    try:
        return int(domain.openGraphicsFD(index))
    except libvirt.libvirtError as error:
        if is_about(error, libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_INVALID_ARG):
            raise Conflict("The guest has no screen") from error
        raise


def _line(domain: libvirt.virDomain) -> int:
    """Raw: the host's terminal driver must neither echo nor change a byte."""
    device = serial_line(domain.XMLDesc())
    if device is None or device.parent != Path("/dev/pts"):
        raise Conflict("The guest has no serial line")
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Conflict("The guest's serial line has just gone") from error
    tty.setraw(descriptor)
    return descriptor
