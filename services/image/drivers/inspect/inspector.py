"""Has images inspected by processes of their own, which are started when needed and end when idle."""

from __future__ import annotations

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

log = logging.getLogger(__name__)

CHILD = (sys.executable, "-I", "-m", "services.image.drivers.inspect.child")
AT_ONCE = 2


class _Answer(BaseModel):
    formats: list[str]
    virtual_size: int
    problems: list[str]


class Inspector:
    """Thread-safe; at most `AT_ONCE` images are looked into at a time, the others wait."""

    def __init__(self, *, idle_s: float) -> None:
        self._idle_s = idle_s
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock, self._room = threading.Lock(), threading.Semaphore(AT_ONCE)

    def inspect(self, path: Path) -> Finding:
        """What the file is.  Unavailable if the inspecting process can't be run"""
        with self._room:
            for _ in range(2):  # one that waits for work may just have ended
                with self._process() as process:
                    if (found := _ask(process, path)) is not None:
                        return found
        raise Unavailable("Images cannot be inspected just now")

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
        yield process
        if process.poll() is None:
            with self._lock:
                self._idle.append(process)
        else:
            _end(process)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            (*CHILD, str(self._idle_s)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
        )
        threading.Thread(
            target=process.wait, name="inspector burial", daemon=True
        ).start()  # it ends by itself when idle
        return process


def _ask(process: subprocess.Popen[bytes], path: Path) -> Finding | None:
    """None if the process ended without an answer."""
    assert process.stdin and process.stdout
    try:
        process.stdin.write(orjson.dumps({"path": str(path)}) + b"\n")
        process.stdin.flush()
        answer = _Answer.model_validate_json(process.stdout.readline())
    except (OSError, ValidationError) as error:
        log.info("inspecting process ended", extra={"why": type(error).__name__})
        _end(process)
        return None
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
