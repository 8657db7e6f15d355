"""Image bytes as files of one directory: `<image id>` when complete, `arriving/<upload id>` until then, and
`staged/<image id>` while they wait for an import.

Both lie on one file system, so that bytes become an image by a rename, and a host on the same machine may hard link them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from common.errors import NotFound, PlatformError, TooLarge, Unavailable
from services.image.drivers.store.store import FULL, Keep, Living, broken, missing

READ_BYTES = 1 << 20
COPY_STEP_BYTES = 64 << 20


@contextmanager
def plain_errors() -> Iterator[None]:
    """The kernel's error numbers end here; no path of ours reaches a caller or the log."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing() from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise TooLarge(FULL) from error
        raise broken(errno.errorcode.get(error.errno or 0, "unknown")) from None  # its cause would log the path


class Arrival:
    """Bytes on their way in: written once, hashed on the way.

    `write` and `add_md5` take the same pieces in the same order, and may run on two threads at once.
    """

    def __init__(self, path: Path, *, is_new: bool = True) -> None:
        self.path, self.size = path, 0
        self._sha512, self._md5 = hashlib.sha512(), hashlib.md5(usedforsecurity=False)
        made = os.O_CREAT | os.O_EXCL if is_new else os.O_APPEND
        try:
            with plain_errors():
                self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | made, 0o600)
                if not is_new:
                    self._read_again()
        except NotFound as error:
            raise (broken("ENOENT") if is_new else error) from None  # it is the directory that is gone; not for the log

    def _read_again(self) -> None:
        with self.path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                self._sha512.update(piece)
                self._md5.update(piece)
                self.size += len(piece)

    def write(self, piece: bytes) -> None:
        """TooLarge when the disk is full"""
        self._sha512.update(piece)
        with plain_errors():
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        self.size += len(piece)

    def add_md5(self, piece: bytes) -> None:
        self._md5.update(piece)

    def hashes(self) -> tuple[str, str]:
        """md5 and sha512 of all that came."""
        return self._md5.hexdigest(), self._sha512.hexdigest()

    def sync(self) -> None:
        """Return when the bytes survive a loss of power."""
        with plain_errors():
            os.fsync(self._file)

    def close(self) -> None:
        """Twice is once."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class FileReading:
    """Owns the file descriptor."""

    def __init__(self, file: int, first: int) -> None:
        self._file, self._offset = file, first

    def piece(self, size: int) -> bytes:
        with plain_errors():
            piece = os.pread(self._file, size, self._offset)
        if not piece:
            raise PlatformError("The image's bytes end too early", offset=self._offset)
        self._offset += len(piece)
        return piece

    def close(self) -> None:
        os.close(self._file)


class FileStore:
    """Thread-safe; several processes may share the directory."""

    kind = "file"
    keeps_at_once = True

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._arriving, self._staged = self.directory / "arriving", self.directory / "staged"
        for folder, mode in ((self.directory, 0o750), (self._arriving, 0o700), (self._staged, 0o700)):
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
            folder.chmod(mode)

    def arrival(self, upload_id: UUID) -> Arrival:
        """Room for the bytes of a new upload."""
        return Arrival(self.arrival_path(upload_id))

    def arrival_path(self, upload_id: UUID) -> Path:
        return self._arriving / str(upload_id)

    def reopened(self, upload_id: UUID) -> Arrival:
        """The bytes of an upload that goes on, read once more for their hashes; a new one has none."""
        path = self._arriving / str(upload_id)
        return Arrival(path, is_new=not path.exists())

    def arrived_bytes(self, upload_id: UUID) -> int:
        """How many bytes of this upload are here."""
        try:
            return (self._arriving / str(upload_id)).stat().st_size
        except FileNotFoundError:
            return 0

    def bring(self, source: Path, image_id: UUID, upload_id: UUID, *, given: bool, heard: Callable[[], None]) -> Keep:
        """A given file on the same file system is taken itself, any other copied and on the disk before this returns."""
        arrived = self._arriving / str(upload_id)
        with plain_errors():
            if not (given and source.stat().st_dev == self._arriving.stat().st_dev):
                source = _copy(source, arrived, heard)
        return lambda: self._keep(source, image_id)

    def _keep(self, path: Path, image_id: UUID) -> None:
        with plain_errors():
            path.chmod(0o444)  # never to be written again
            path.rename(self.path(image_id))
            _sync(self.directory)

    def holds(self, image_id: UUID) -> bool:
        return self.path(image_id).exists()

    def stage(self, path: Path, image_id: UUID) -> None:
        """The arrived bytes wait for an import."""
        with plain_errors():
            path.rename(self.staged_path(image_id))
            _sync(self._staged)

    def staged_path(self, image_id: UUID) -> Path:
        return self._staged / str(image_id)

    def unstage(self, image_id: UUID) -> None:
        """Twice is once."""
        with plain_errors():
            self.staged_path(image_id).unlink(missing_ok=True)

    def staged(self, *, older_than_s: float) -> list[UUID]:
        """Ids of images that have bytes in the staging area, and had them that long."""
        return _ids(self._staged, older_than_s)

    def path(self, image_id: UUID) -> Path:
        return self.directory / str(image_id)

    def local(self, image_id: UUID) -> Path | None:
        return self.path(image_id) if self.holds(image_id) else None

    def url(self, image_id: UUID) -> str:
        return self.path(image_id).as_uri()

    def open(self, image_id: UUID, first: int, end: int) -> FileReading:
        """NotFound"""
        with plain_errors():
            return FileReading(os.open(self.path(image_id), os.O_RDONLY | os.O_CLOEXEC), first)

    def remove(self, image_id: UUID) -> None:
        """Twice is once."""
        with plain_errors():
            self.path(image_id).unlink(missing_ok=True)

    def discard(self, upload_id: UUID) -> None:
        """Twice is once."""
        with plain_errors():
            (self._arriving / str(upload_id)).unlink(missing_ok=True)

    def sweep(self, living: Living, *, older_than_s: float) -> int:
        """The staging area is the owner's of it to sweep: see `staged`."""
        uploads, images = _ids(self._arriving, 0), _ids(self.directory, older_than_s)
        orphans = set(uploads) - living.uploads(uploads)
        strangers = set(images) - living.images(images)
        for upload_id in orphans:
            self.discard(upload_id)
        for image_id in strangers:
            self.remove(image_id)
        return len(orphans) + len(strangers)

    def images(self) -> list[UUID]:
        """Ids that have bytes here."""
        return _ids(self.directory, 0)

    def probe(self) -> None:
        """Unavailable unless bytes can be stored."""
        if not os.access(self._arriving, os.W_OK | os.X_OK):
            raise Unavailable("The image store cannot be written")


def _copy(source: Path, target: Path, heard: Callable[[], None]) -> Path:
    """On the disk when this returns; the kernel moves the bytes, by sharing blocks where the file system can."""
    target.unlink(missing_ok=True)
    with source.open("rb") as given, target.open("xb") as copy:
        while _move_some(given.fileno(), copy.fileno()):
            heard()
        os.fsync(copy.fileno())
    return target


def _move_some(source: int, target: int) -> int:
    """How many bytes more were copied; 0 at the end."""
    try:
        return os.copy_file_range(source, target, COPY_STEP_BYTES)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL):
            raise
        return os.sendfile(target, source, None, COPY_STEP_BYTES)  # between file systems of two kinds


def _ids(directory: Path, older_than_s: float) -> list[UUID]:
    before, found = time.time() - older_than_s, []
    for entry in os.scandir(directory):
        try:
            if entry.is_file(follow_symlinks=False) and entry.stat().st_ctime <= before:
                found.append(UUID(entry.name))
        except (ValueError, FileNotFoundError):
            continue  # not ours, or gone just now
    return found


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
