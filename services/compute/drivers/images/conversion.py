"""Turn a guest's disk and the image below it into one file that refers to no other, by qemu-img.

Both formats are said, never guessed, and the base is named by us: what the disk's own header says of a base is not read.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from common.errors import Conflict, HostFailed
from services.compute.drivers.images.inspection import disk_size, must_keep_to_itself

LOOK_EVERY_S = 0.05
GIVEN_UP = "The copy is not wanted any more"
MEASURE_S = 120
PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Source:
    """A qcow2 overlay and the image that it is based on, if it is on any."""

    path: Path
    image: Path | None
    image_format: str

    def described(self) -> str:
        """For qemu: https://qemu.readthedocs.io, "qemu block driver options"."""
        image: dict[str, Any] | None = None
        if self.image is not None:
            image = {"driver": self.image_format, "file": {"driver": "file", "filename": str(self.image)}}
        if image is not None and self.image_format == "qcow2":
            image["backing"] = None
        disk = {"driver": "qcow2", "file": {"driver": "file", "filename": str(self.path)}, "backing": image}
        return "json:" + json.dumps(disk)


def room_for(source: Source, directory: Path, *, spare: int) -> None:
    """HostFailed unless the whole copy, and `spare` bytes, fit where it is to be."""
    free = shutil.disk_usage(directory).free
    if free < _most(source) + spare and free < (needed := _measured(source)) + spare:
        raise HostFailed(f"This host has no room for a copy of the disk: it needs {needed >> 20} MiB", free_bytes=free)


def convert(source: Source, target: Path, *, over: Event) -> None:
    """Conflict once `over` is set; HostFailed if qemu-img can't."""
    must_keep_to_itself(source.path)
    if over.is_set():
        raise Conflict(GIVEN_UP)
    command = ["qemu-img", "convert", "-O", "qcow2", "-W", source.described(), str(target)]
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=PLAIN,
            umask=0o077,  # other guests' accounts pass through the directory
        ) as work:
            try:
                while not _has_ended(work):
                    if over.is_set():
                        raise Conflict(GIVEN_UP)
            finally:
                work.kill()
            said = work.stderr.read().decode(errors="replace") if work.stderr else ""
    except OSError as error:
        raise HostFailed("This host can't run qemu-img") from error
    if work.returncode:
        why = "this host's disk is full" if "No space left" in said else "qemu-img failed"
        raise HostFailed(f"The disk could not be copied: {why}", said=said[-2000:])


def _has_ended(work: subprocess.Popen[bytes]) -> bool:
    """At once when it has; after a moment if not."""
    descriptor = os.pidfd_open(work.pid)
    try:
        select.select([descriptor], [], [], LOOK_EVERY_S)
    finally:
        os.close(descriptor)
    return work.poll() is not None


def _most(source: Source) -> int:
    """Bytes that the copy can come to, however full the disk: its size, and a little for the tables."""
    size = disk_size(source.path)
    return size + size // 1000 + (1 << 20)


def _measured(source: Source) -> int:
    """Bytes that the copy takes at most, by what is allocated now; the guest may be running."""
    command = ["qemu-img", "measure", "--force-share", "--output=json", "-O", "qcow2", source.described()]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=MEASURE_S, check=True, env=PLAIN
        )
        return int(json.loads(done.stdout)["required"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise HostFailed("The disk could not be measured") from error
