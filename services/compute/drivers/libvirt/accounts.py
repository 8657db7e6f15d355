"""An account of its own for each guest: a qemu that was taken over can't open another guest's files.

Accounts are numbers, not entries in /etc/passwd.  A guest's number follows from its id; the rare collision moves on to the
next one.  Claims are files shared by all clouds of the machine, made with O_EXCL, so that no two ever get the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from common.errors import HostFailed

TRIES = 32


class Accounts:
    def __init__(self, claims: Path, *, first_uid: int, uid_count: int) -> None:
        self._claims = claims
        self._first_uid = first_uid
        self._uid_count = uid_count

    def claim(self, server_id: UUID) -> int:
        """The uid (and gid) of this guest, the same every time until it is released."""
        self._claims.mkdir(mode=0o755, parents=True, exist_ok=True)
        for uid in self._candidates(server_id):
            if self._take(uid, str(server_id)):
                return uid
        raise HostFailed("This host has no free account to run the guest under", server_id=server_id)

    def release(self, server_id: UUID) -> None:
        for uid in self._candidates(server_id):
            path = self._claims / str(uid)
            if _owner(path) == str(server_id):
                path.unlink(missing_ok=True)

    def _candidates(self, server_id: UUID) -> Iterator[int]:
        start = int.from_bytes(hashlib.sha256(server_id.bytes).digest()[:8])
        for step in range(TRIES):
            yield self._first_uid + (start + step) % self._uid_count

    def _take(self, uid: int, owner: str) -> bool:
        path = self._claims / str(uid)
        try:
            path.symlink_to(owner)  # name and contents in one step: there is no half-made claim
        except FileExistsError:
            return _owner(path) == owner
        return True


def _owner(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None
