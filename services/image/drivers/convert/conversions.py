"""Converts disk images with QEMU, in a process of its own for each."""

from __future__ import annotations

import errno
import logging
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.errors import PlatformError, TooLarge, Unavailable

log = logging.getLogger(__name__)

CHILD = (sys.executable, "-I", "-m", "services.image.drivers.convert.child")
PROGRESS = re.compile(rb"\((\d{1,3})\.\d+/100%\)")
TICK_S = 1.0
KEPT_BYTES = 4096  # of what it said last


class ConversionFailed(PlatformError):
    """The message names no file of ours."""

    status, code = 400, "conversion.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """Thread-safe."""

    most_bytes: int  # of what is written
    most_s: float

    def convert(
        self, source: Path, source_format: str, target: Path, target_format: str, tick: Callable[[int], None]
    ) -> None:
        """Write `target`, a file that is there already, and have it on the disk; formats are QEMU's names.

        `tick` gets the percentage that is done about every second, and ends the conversion by raising.
        ConversionFailed, TooLarge, Unavailable
        """
        formats = (str(source), source_format, str(target), target_format)
        bounds = (str(self.most_bytes), str(max(1, int(self.most_s))))
        process = _started(*formats, *bounds)
        try:
            said = self._followed(process, tick)
        finally:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()
        self._must_have_worked(process.returncode, said)
        _sync(target)

    def _followed(self, process: subprocess.Popen[bytes], tick: Callable[[int], None]) -> bytes:
        """What it said last, after it ended."""
        assert process.stdout
        said, percent, ends, next_tick = b"", 0, time.monotonic() + self.most_s, 0.0
        output = process.stdout.fileno()
        while True:
            if time.monotonic() > ends:
                raise ConversionFailed("The conversion took too long")
            if time.monotonic() > next_tick:
                tick(percent)
                next_tick = time.monotonic() + TICK_S
            if not select.select([output], [], [], TICK_S)[0]:
                continue
            if not (piece := os.read(output, 65536)):
                process.wait()
                return said
            said = (said + piece)[-KEPT_BYTES:]
            if found := PROGRESS.findall(said):
                percent = int(found[-1])

    def _must_have_worked(self, status: int, said: bytes) -> None:
        if status == 0:
            return
        if b"No space left" in said or b"Disk quota exceeded" in said:
            raise TooLarge("Image storage media is full: the converted image does not fit into it")
        if status == -signal.SIGXFSZ or b"File too large" in said:
            raise TooLarge(f"An image may have {self.most_bytes} bytes at most, and would have more when converted")
        log.info("image not converted", extra={"status": status, "said": said.decode(errors="replace")[-500:]})
        raise ConversionFailed("The image was refused: it cannot be converted to the format that this site uses.")


def _started(*arguments: str) -> subprocess.Popen[bytes]:
    """Unavailable if the machine has no memory, processes or files left for it"""
    try:
        return subprocess.Popen(
            (*CHILD, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # glibc sets address space aside for each thread that allocates, and qemu-img has many: it would exceed its bound
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "MALLOC_ARENA_MAX": "1"},
            cwd="/",
        )
    except OSError as error:
        why = errno.errorcode.get(error.errno or 0, "unknown")
        raise Unavailable("Images cannot be converted just now", why=why) from error


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


__all__ = ["ConversionFailed", "Converter"]
