"""Images on this host, each kept once under the hash of its bytes.

Files are complete or absent: bytes arrive under another name, are hashed on the way, and get their own name only when
hash and size are right.  Everything here is safe for many threads and many processes: a lock file per image
decides who fetches, the others wait and find it there.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import BinaryIO

from common.errors import HostFailed, InvalidInput, PlatformError, Unavailable
from services.compute.core.guests import GuestImage

Fetch = Callable[[], Iterator[bytes]]

CHUNK_BYTES = 1 << 20
_CLONE = 0x40049409  # FICLONE, linux/fs.h: share another file's blocks
_HASH = re.compile(r"[0-9a-f]{128}")


class ImageCache:
    def __init__(self, directory: Path) -> None:
        """Open or make the cache; what a dead process was still fetching is removed."""
        self.directory = directory
        self._arriving = directory / "arriving"
        self._locks = directory / "locks"
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.chmod(0o711)  # qemu may open what it was told of, and list nothing
        for inner in (self._arriving, self._locks):
            inner.mkdir(mode=0o700, exist_ok=True)
        self._sweep()

    def ensure(self, image: GuestImage, fetch: Fetch, *, local: Path | None = None) -> Path:
        """The path of the image's bytes, verified and readable by every guest.

        `local` is a file on this machine that should hold them: linked or cloned if it does, else `fetch` is asked.
        Raises PlatformError if the bytes aren't the recorded ones, HostFailed if they don't fit on this host.
        """
        path = self._path(image.sha512)
        with self._locked(image.sha512):
            if not self._is_right(path, image):
                path.unlink(missing_ok=True)
                self._arrive(image, fetch, local, path)
                self._note(path)
            os.utime(self._lock(image.sha512))  # when it was last wanted
        return path

    def _is_right(self, path: Path, image: GuestImage) -> bool:
        """Whether these are the image's bytes: hashed again unless the file is the one that was hashed before."""
        if not _has_size(path, image.size_bytes):
            return False
        if self._lock(path.name).read_text() == _stamp(path):
            return True
        if is_right := _is_whole(path, image):
            self._note(path)
        return is_right

    def _note(self, path: Path) -> None:
        """The file as it is now has the right bytes; the caller holds its lock."""
        self._lock(path.name).write_text(_stamp(path))

    def used_bytes(self) -> int:
        return sum(found.st_blocks * 512 for _, found in self._entries())

    def prune(
        self, keep: Set[str], *, max_bytes: int, idle_s: float = 600, oldest_s: float = float("inf")
    ) -> list[str]:
        """Remove what nobody wanted for `oldest_s`, then the longest unwanted until the rest fits; hashes of those that went.

        Never touches those in `keep` (hashes) nor what was wanted within `idle_s`: a guest may be about to use it.
        """
        gone: list[str] = []
        used = self.used_bytes()
        too_old = time() - oldest_s
        for sha512, size in sorted(self._idle(keep, idle_s), key=lambda entry: self._wanted_at(entry[0])):
            if used <= max_bytes and self._wanted_at(sha512) >= too_old:
                break
            self._path(sha512).unlink(missing_ok=True)
            used -= size
            gone.append(sha512)
        return gone

    def _idle(self, keep: Set[str], idle_s: float) -> list[tuple[str, int]]:
        before = time() - idle_s
        return [
            (name, found.st_blocks * 512)
            for name, found in self._entries()
            if name not in keep and self._wanted_at(name) <= before
        ]

    def _entries(self) -> Iterator[tuple[str, os.stat_result]]:
        for entry in os.scandir(self.directory):
            if _HASH.fullmatch(entry.name):
                yield entry.name, entry.stat(follow_symlinks=False)

    def _wanted_at(self, sha512: str) -> float:
        try:
            return self._lock(sha512).stat().st_mtime
        except FileNotFoundError:
            return 0

    def _path(self, sha512: str) -> Path:
        if not _HASH.fullmatch(sha512):
            raise InvalidInput("The image has no usable SHA-512")
        return self.directory / sha512

    def _lock(self, sha512: str) -> Path:
        return self._locks / sha512

    @contextmanager
    def _locked(self, sha512: str, *, wait: bool = True) -> Iterator[None]:
        """One holder per image, among threads and processes; BlockingIOError if it must not wait."""
        with self._lock(sha512).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def _sweep(self) -> None:
        for left in self._arriving.iterdir():
            try:
                with self._locked(left.name.partition(".")[0], wait=False):
                    left.unlink(missing_ok=True)
            except BlockingIOError:
                continue  # somebody alive is fetching it

    def _arrive(self, image: GuestImage, fetch: Fetch, local: Path | None, path: Path) -> None:
        arriving = self._arriving / f"{image.sha512}.{uuid.uuid4().hex}"
        try:
            if not (local and _share(local, arriving) and _is_whole(arriving, image)):
                arriving.unlink(missing_ok=True)
                _stream(image, fetch, arriving)
            arriving.chmod(0o444)
            arriving.rename(path)
            _sync_directory(self.directory)
        except (ConnectionError, TimeoutError) as error:
            raise Unavailable(f"Image {image.id} can't be fetched just now") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HostFailed(f"Image {image.id} does not fit into this host's image cache") from error
            raise HostFailed(f"This host can't store image {image.id}: {error.strerror}") from error
        finally:
            arriving.unlink(missing_ok=True)


def _stream(image: GuestImage, fetch: Fetch, arriving: Path) -> None:
    """Write what `fetch` gives, never more than the image should have."""
    digest, size = hashlib.sha512(), 0
    with arriving.open("xb") as file:
        for chunk in fetch():
            size += len(chunk)
            if size > image.size_bytes:
                break
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if size != image.size_bytes or digest.hexdigest() != image.sha512:
        raise PlatformError(f"The bytes of image {image.id} do not match its recorded size and hash", image_id=image.id)


def _share(local: Path, arriving: Path) -> bool:
    """Give `arriving` the bytes of `local` without copying them; False if that is impossible."""
    try:
        found = local.stat()
        if found.st_uid == os.geteuid():  # another account could change the file behind our back
            os.link(local, arriving)
            return True
    except OSError:
        pass
    try:
        with local.open("rb") as source, arriving.open("xb") as file:
            fcntl.ioctl(file, _CLONE, source.fileno())
    except OSError:
        arriving.unlink(missing_ok=True)
        return False
    return True


def _is_whole(path: Path, image: GuestImage) -> bool:
    if not _has_size(path, image.size_bytes):
        return False
    with path.open("rb") as file:
        return _sha512(file) == image.sha512


def _sha512(file: BinaryIO) -> str:
    digest = hashlib.sha512()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _stamp(path: Path) -> str:
    """Another one after any change of the file's bytes."""
    found = path.stat()
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
