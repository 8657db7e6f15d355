"""Take from a process whatever it does not need to compute: after this it opens, connects to and starts nothing.

A seccomp filter answers every system call that is not in `ALLOWED` with EPERM.  Facts: Linux,
Documentation/userspace-api/seccomp_filter.rst; numbers from arch/*/syscalls and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import platform
import struct

# fmt: off
ALLOWED: dict[str, tuple[int, int]] = {
    # call            x86_64  aarch64
    "read":              (0,    63),
    "write":             (1,    64),
    "close":             (3,    57),
    "fstat":             (5,    80),
    "lseek":             (8,    62),
    "mmap":              (9,   222),
    "mprotect":         (10,   226),
    "munmap":           (11,   215),
    "brk":              (12,   214),
    "rt_sigaction":     (13,   134),
    "rt_sigprocmask":   (14,   135),
    "rt_sigreturn":     (15,   139),
    "pread64":          (17,    67),
    "mremap":           (25,   216),
    "madvise":          (28,   233),
    "dup3":            (292,    24),
    "getpid":           (39,   172),
    "exit":             (60,    93),
    "futex":           (202,    98),
    "clock_gettime":   (228,   113),
    "exit_group":      (231,    94),
    "getrandom":       (318,   278),
}
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_*
DUP2_OF_X86 = 33

LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
KILL, REFUSE, ALLOW = 0x80000000, 0x00050000 | 1, 0x7FFF0000  # SECCOMP_RET_KILL_PROCESS, _ERRNO | EPERM, _ALLOW
NUMBER_AT, MACHINE_AT = 0, 4  # in struct seccomp_data
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
# fmt: on


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def only_compute() -> bool:
    """From now on this process can work with the files that it has, and get no more.  False where that can't be had

    Nothing gives the rights back, not even to root.
    """
    known = MACHINES.get(platform.machine())
    if known is None:
        return False
    column, machine = known
    numbers = sorted(numbers[column] for numbers in ALLOWED.values()) + ([DUP2_OF_X86] if column == 0 else [])
    code = _program(machine, numbers)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return bool(
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        and prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0
    )


def _program(machine: int, numbers: list[int]) -> bytes:
    steps = [(LOAD, 0, 0, MACHINE_AT), (EQUALS, 1, 0, machine), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER_AT)]
    steps += [(EQUALS, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    steps += [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def forbid_new_rights() -> None:
    """No program that this one starts gains rights by its file's owner or capabilities.  OSError"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")


__all__ = ["forbid_new_rights", "only_compute"]
