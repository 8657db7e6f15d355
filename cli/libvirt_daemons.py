"""Starts libvirt's daemons where nothing else does (a machine without systemd)."""

from __future__ import annotations

import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.running import turn, wait_until
from common.errors import Unavailable

START_S = 60  # it asks each qemu what that can do, and a busy machine takes its time


@dataclass(frozen=True, slots=True)
class Daemon:
    program: str
    socket: Path
    packages: str

    def answers(self) -> bool:
        """Whether something accepts connections on its socket."""
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(5)
            try:
                door.connect(str(self.socket))
            except OSError:
                return False
        return True


SOCKETS = Path("/run/libvirt")
DAEMONS = (  # virtlogd first: libvirtd hands it the guests' consoles
    Daemon("virtlogd", SOCKETS / "virtlogd-sock", "libvirt-daemon"),
    Daemon("libvirtd", SOCKETS / "libvirt-sock", "libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86"),
)


def ensure() -> list[str]:
    """Start those that do not answer, and say which.  Unavailable with what to do if one cannot be."""
    if all(daemon.answers() for daemon in DAEMONS):
        return []
    with turn(Path("/run/lock/pileus-libvirt.lock")):  # two clouds may come up at once
        return [daemon.program for daemon in DAEMONS if not daemon.answers() and _started(daemon)]


def _started(daemon: Daemon) -> bool:
    if shutil.which(daemon.program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        raise Unavailable(f"{daemon.program} is not installed. Install it with: apt-get install {daemon.packages}")
    done = subprocess.run([daemon.program, "-d"], capture_output=True, text=True, timeout=60, check=False)
    if not wait_until(daemon.answers, START_S):
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(
            f"{daemon.program} does not start: {said[-1] if said else 'it says nothing'}. Try '{daemon.program} -v' by hand"
        )
    return True
