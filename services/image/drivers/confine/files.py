"""Let a process, and what it starts, reach no files but those that are named, and no network.

By Landlock, as far as the kernel has it.  Facts: Linux, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from services.image.drivers.confine.syscalls import forbid_new_rights

CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, the same on every machine
VERSION, BENEATH = 1, 1  # LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH

EXECUTE, WRITE, READ, LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, DEVICES = 1 << 14, 1 << 15
EVERY_RIGHT = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # by version
NEWEST_KNOWN = (1 << 16) - 1  # from version 5 on
OF_FILES = EXECUTE | WRITE | READ | TRUNCATE | DEVICES
TCP = 0b11  # bind, connect: from version 4 on
PROGRAMS = tuple(Path(one) for one in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"))


def reach_only(reads: Iterable[Path], writes: Iterable[Path]) -> bool:
    """From now on there are these files and the system's programs, nothing else.  False without Landlock.  OSError"""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE, None, 0, VERSION)
    if version < 1:
        return False
    every = EVERY_RIGHT.get(version, NEWEST_KNOWN)
    asked = struct.pack("=QQ", every, TCP) if version >= 4 else struct.pack("=Q", every)
    rules = _called(libc, CREATE, asked, len(asked), 0)
    try:
        for path in PROGRAMS:
            if path.exists():
                _allow(libc, rules, path, every & (EXECUTE | READ | LIST))
        for path in reads:
            _allow(libc, rules, path, every & READ)
        for path in writes:
            _allow(libc, rules, path, every & (READ | WRITE | TRUNCATE))
        forbid_new_rights()
        _called(libc, RESTRICT, rules, 0)
    finally:
        os.close(rules)
    return True


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = rights if path.is_dir() else rights & OF_FILES
        _called(libc, ADD, rules, BENEATH, struct.pack("=Qi", rights, file), 0)
    finally:
        os.close(file)


def _called(libc: ctypes.CDLL, number: int, *given: object) -> int:
    done: int = libc.syscall(number, *given)
    if done < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return done
