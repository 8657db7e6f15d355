"""Has images inspected by processes of their own, which are started when needed and end when idle."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
from pydantic import BaseModel, ValidationError

from common.errors import Unavailable
from services.image.core.formats import Finding
from services.image.drivers.store.store import broken, missing

log = logging.getLogger(__name__)

CHILD = (sys.executable, "-I", "-m", "services.image.drivers.inspect.child")
AT_ONCE = 2


class _Answer(BaseModel):
    formats: list[str] = []
    virtual_size: int = 0
    problems: list[str] = []
    unreadable: str | None = None


class Inspector:
    """Thread-safe; at most `AT_ONCE` images are looked into at a time, the others wait."""

    def __init__(self, *, idle_s: float, within: tuple[str, ...] = ()) -> None:
        """`within` is a command that the processes are started by, for those who watch them."""
        self._command = (*within, *CHILD, str(idle_s))
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock, self._room = threading.Lock(), threading.Semaphore(AT_ONCE)

    def inspect(self, path: Path, container: str | None = None) -> Finding:
        """What the file is, and what is in it if it is such an archive.

        NotFound, Unavailable if it cannot be read or no process be run
        """
        with self._room:
            for _ in range(AT_ONCE + 2):  # all that wait for work may just be ending
                with self._process() as process:
                    if (found := _ask(process, path, container)) is not None:
                        return found
        raise _cannot("each ended without an answer")

    def wake(self) -> None:
        """Have a process ready for an image that is on its way: its start takes longer than most inspections.

        If the machine has no room for one just now, it may have when the image is here.
        """
        with self._lock:
            ended = [process for process in self._idle if process.poll() is not None]
            self._idle = [process for process in self._idle if process not in ended]
            with suppress(Unavailable):
                self._idle = self._idle or [self._start()]
        for process in ended:
            _end(process)

    def close(self) -> None:
        """End those that wait for work."""
        with self._lock:
            ended, self._idle = self._idle, []
        for process in ended:
            _end(process)

    @contextmanager
    def _process(self) -> Iterator[subprocess.Popen[bytes]]:
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None or process.poll() is not None:
            if process is not None:
                _end(process)
            process = self._start()
        try:
            yield process
        except BaseException:
            _end(process)  # it may be about to answer what nobody waits for any more
            raise
        if process.poll() is None:
            with self._lock:
                self._idle.append(process)
        else:
            _end(process)

    def _start(self) -> subprocess.Popen[bytes]:
        """Unavailable if the machine has no memory, processes or files left for one"""
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
            )
        except OSError as error:
            raise _cannot(errno.errorcode.get(error.errno or 0, "unknown")) from error
        try:  # it ends by itself when idle
            threading.Thread(target=process.wait, name="inspector burial", daemon=True).start()
        except RuntimeError as error:
            _end(process)
            raise _cannot("no thread") from error
        return process


def _cannot(why: str) -> Unavailable:
    log.warning("no process to inspect images with", extra={"why": why})
    return Unavailable("Images cannot be inspected just now", why=why)


def _ask(process: subprocess.Popen[bytes], path: Path, container: str | None) -> Finding | None:
    """None if the process ended without an answer."""
    assert process.stdin and process.stdout
    try:
        process.stdin.write(orjson.dumps({"path": str(path), "container": container}) + b"\n")
        process.stdin.flush()
        answer = _Answer.model_validate_json(process.stdout.readline())
    except (OSError, ValidationError) as error:
        log.info("inspecting process ended", extra={"why": type(error).__name__})
        _end(process)
        return None
    if answer.unreadable is not None:
        raise missing() if answer.unreadable == "ENOENT" else broken(answer.unreadable)
    return Finding(frozenset(answer.formats), answer.virtual_size, tuple(answer.problems))


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
