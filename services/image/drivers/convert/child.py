"""Become `qemu-img convert`, with bounds on memory, time and the file it writes, and without any other file or network.

python -m services.image.drivers.convert.child SOURCE FORMAT TARGET FORMAT MOST_BYTES MOST_S
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from services.image.drivers.confine.files import reach_only

MEMORY_BYTES = 1 << 30


def main(source: str, source_format: str, target: str, target_format: str, most_bytes: int, most_s: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, most_s),
        (resource.RLIMIT_FSIZE, most_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    reach_only([Path(source)], [Path(target), Path(os.devnull)])
    command = ["qemu-img", "convert", "-p", "-f", source_format, "-O", target_format, source, target]
    os.execvp(command[0], command)


if __name__ == "__main__":
    source, source_format, target, target_format, most_bytes, most_s = sys.argv[1:]
    main(source, source_format, target, target_format, int(most_bytes), int(most_s))
