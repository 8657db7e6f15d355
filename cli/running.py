"""Which process runs a cloud: one lock that it holds for life, and a file with its pid."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.places import Places, write_private
from common.errors import Conflict, Unavailable


@dataclass(frozen=True, slots=True)
class Running:
    """A process, told apart from a later one with the same pid by when it was born."""

    pid: int
    born: str  # clock ticks since boot, proc(5)

    @classmethod
    def of(cls, pid: int) -> Running | None:
        """The living process with this pid; zombies are dead."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else cls(pid, fields[19])

    def is_alive(self) -> bool:
        return Running.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is still the one that was meant."""
        if self.is_alive():
            os.kill(self.pid, number)


def remember(path: Path, running: Running) -> None:
    write_private(path, f"{running.pid} {running.born}\n")


def remembered(path: Path) -> Running | None:
    """The process that a pid file names, if it is alive."""
    try:
        pid, born = path.read_text().split()
        named = Running(int(pid), born)
    except (OSError, ValueError):
        return None
    return named if named.is_alive() else None


@contextmanager
def sole_owner(places: Places) -> Iterator[None]:
    """Only one process at a time runs the cloud of a directory.  Conflict if another does; the kernel ends it with us."""
    descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(
                f"The cloud in {places.data} runs already. Stop it with: pileus down --data {places.data}"
            ) from error
        myself = Running.of(os.getpid())
        assert myself is not None
        remember(places.pid, myself)
        yield
        places.pid.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Wait for one's turn at something that only one process may do at a time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def owner(places: Places) -> Running | None:
    """The process that runs this cloud, if one does."""
    return remembered(places.pid)


def stop(running: Running, *, patience_s: float = 30) -> None:
    """Ask it to end, and wait.  Unavailable if it does not."""
    running.send(signal.SIGTERM)
    if not wait_until(lambda: not running.is_alive(), patience_s):
        raise Unavailable(
            f"Process {running.pid} did not stop within {patience_s:g} s. To insist: kill -9 {running.pid}"
        )


def wait_until(condition: Callable[[], bool], patience_s: float, *, every_s: float = 0.05) -> bool:
    """Whether the condition came true in time."""
    until = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(every_s)
    return True
