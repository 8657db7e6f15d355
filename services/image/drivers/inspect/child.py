"""The process that looks into images, so that no crafted header can hurt the one that serves them.

    python -m services.image.drivers.inspect.child IDLE_S

It loads the inspectors once, then forks for every image: the fork opens one file, gives up its rights, its time and its
memory beyond small bounds, and every system call that could open, connect to or start anything; then it prints what it
found.  One JSON line in, one out; it ends when idle or when its parent is gone.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import sys
import time
from functools import partial
from typing import Any

from services.image.drivers.confine.syscalls import only_compute

MEMORY_BYTES = 1 << 30
CPU_S = 30
WALL_S = 60
NOBODY = 65534
AWAY = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EIO)  # of the place where images lie, never of what is in them
UNDECIDED = "could not be inspected within the limits of time and memory"


def main(idle_s: float) -> None:
    from services.image.drivers.inspect import looking

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while select.select([0], [], [], idle_s)[0]:
        line = _line()
        if not line:
            return
        asked = json.loads(line)
        look = partial(looking.look, container=asked.get("container"))
        sys.stdout.write(_inspected_apart(asked["path"], look) + "\n")
        sys.stdout.flush()


def _line() -> bytes:
    taken = b""
    while not taken.endswith(b"\n"):
        piece = os.read(0, 65536)
        if not piece:
            return b""
        taken += piece
    return taken


def _inspected_apart(path: str, look: Any) -> str:
    """What a fork of its own prints about this file, or that it did not come to an end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(_bounded(path, look)).encode())
        except BaseException:  # nothing of this process may outlive the fork
            os._exit(1)
        os._exit(0)
    os.close(writing)
    answer = _wait(reading)
    if answer is None:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    os.waitpid(child, 0)
    return answer or json.dumps({"formats": [], "virtual_size": 0, "problems": [UNDECIDED]})


def _wait(reading: int) -> str | None:
    ends, taken = time.monotonic() + WALL_S, b""
    while (left := ends - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        piece = os.read(reading, 65536)
        if not piece:
            return taken.decode() or None
        taken += piece
    return None


def _bounded(path: str, look: Any) -> dict[str, Any]:
    try:
        return _looked(path, look)
    except OSError as error:
        if error.errno not in AWAY:
            raise
        return {"unreadable": errno.errorcode[error.errno]}


def _looked(path: str, look: Any) -> dict[str, Any]:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    size = os.fstat(file).st_size
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_S
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, file + 1),  # no further file, no socket
    ):
        resource.setrlimit(what, (most, most))
    only_compute()
    found: dict[str, Any] = look(file, size)
    return found


if __name__ == "__main__":
    main(float(sys.argv[1]))
