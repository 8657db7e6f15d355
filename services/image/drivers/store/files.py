"""Image bytes as files of one directory: `<image id>` when complete, `arriving/<upload id>` until then, and
`staged/<image id>` while they wait for an import.

Both lie on one file system, so that bytes become an image by a rename, and a host on the same machine may hard link them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from common.errors import NotFound, PlatformError, TooLarge, Unavailable


@contextmanager
def plain_errors() -> Iterator[None]:
    """The kernel's error numbers end here; no path of ours reaches a caller."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("The image's bytes are not in the store", path=str(error.filename)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise TooLarge("Image storage media is full: the image does not fit into the store") from error
        raise Unavailable("The image store does not work", cause=str(error)) from error


class Arrival:
    """Bytes on their way in: written once, hashed on the way.

    `write` and `add_md5` take the same pieces in the same order, and may run on two threads at once.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._sha512, self._md5 = hashlib.sha512(), hashlib.md5(usedforsecurity=False)
        with plain_errors():
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

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


class FileStore:
    """Thread-safe; several processes may share the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._arriving, self._staged = self.directory / "arriving", self.directory / "staged"
        for folder, mode in ((self.directory, 0o750), (self._arriving, 0o700), (self._staged, 0o700)):
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
            folder.chmod(mode)

    def arrival(self, upload_id: UUID) -> Arrival:
        """Room for the bytes of a new upload."""
        return Arrival(self._arriving / str(upload_id))

    def keep(self, path: Path, image_id: UUID) -> None:
        """The bytes at `path`, which is of this store, are the image's from now on; never to be written again."""
        with plain_errors():
            path.chmod(0o444)
            path.rename(self.path(image_id))
            _sync(self.directory)

    def copied(self, source: Path, upload_id: UUID) -> Path:
        """A copy of a file of elsewhere, on the disk, for `keep`; again, it begins anew."""
        path = self._arriving / str(upload_id)
        with plain_errors():
            path.unlink(missing_ok=True)
            shutil.copyfile(source, path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        return path

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

    def open(self, image_id: UUID) -> int:
        """A file descriptor for reading.  NotFound"""
        with plain_errors():
            return os.open(self.path(image_id), os.O_RDONLY | os.O_CLOEXEC)

    def remove(self, image_id: UUID) -> None:
        """Twice is once."""
        with plain_errors():
            self.path(image_id).unlink(missing_ok=True)

    def discard(self, upload_id: UUID) -> None:
        """Twice is once."""
        with plain_errors():
            (self._arriving / str(upload_id)).unlink(missing_ok=True)

    def images(self, *, older_than_s: float) -> list[UUID]:
        """Ids that have bytes here, and had them that long."""
        return _ids(self.directory, older_than_s)

    def uploads(self) -> list[UUID]:
        """Ids of all arrivals, dead ones too."""
        return _ids(self._arriving, 0)

    def probe(self) -> None:
        """Unavailable unless bytes can be stored."""
        if not os.access(self._arriving, os.W_OK | os.X_OK):
            raise Unavailable("The image store cannot be written")


def read_piece(file: int, offset: int, size: int) -> bytes:
    """At most `size` bytes; fewer only at the end.  PlatformError if the file is shorter than it was"""
    with plain_errors():
        piece = os.pread(file, size, offset)
    if not piece:
        raise PlatformError("The image's bytes end too early", offset=offset)
    return piece


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
