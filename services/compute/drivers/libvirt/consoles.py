"""What guests wrote to their serial console, as virtlogd keeps it: FILE, and rotated FILE.0 (newest) to FILE.N."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from common.errors import HostFailed

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
