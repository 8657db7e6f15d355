"""What a run of tests has left on the machine: there must be nothing.

Every process that a run starts carries the run's mark in its environment, and everything that it makes below /tmp, /var/tmp
and /dev/shm is younger than the run; what others do on the machine meanwhile is not the run's.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

MARK = "PILEUS_TEST_RUN"
STAY = {"libvirtd", "virtlogd", "epmd"}
"""Daemons of the machine that whoever needs them first may start."""


def left_by(run: str, scratch: Path) -> list[str]:
    """Processes of that run, and mounts and libvirt's guests that use its directory."""
    return [*_processes(run), *_mounts(scratch), *_guests(scratch)]


def _processes(run: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={run}".encode() not in (process / "environ").read_bytes().split(b"\0"):
                continue
            name, state = (
                (process / "comm").read_text().strip(),
                (process / "stat").read_text().rpartition(")")[2].split()[0],
            )
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended
        if int(process.name) != os.getpid() and name not in STAY and state != "Z":
            found.append(f"process {process.name}: {' '.join(words)[:200]}")
    return found


def _mounts(scratch: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [f"mount {line.split()[4]}" for line in lines if str(scratch) in line]


def _guests(scratch: Path) -> list[str]:
    """Only asked where libvirt runs already."""
    if not Path("/run/libvirt/libvirt-sock").exists():
        return []
    names = _virsh("list", "--all", "--name").split()
    return [f"guest {name}" for name in names if str(scratch) in _virsh("dumpxml", name)]


def _virsh(*words: str) -> str:
    command = ("virsh", "-q", "-c", "qemu:///system", *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
