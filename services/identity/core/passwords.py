"""Passwords: argon2id, a bounded number at once, and the same work whether or not there is a user to compare with."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from common.errors import Unavailable

M_MMAP_THRESHOLD = -3  # mallopt(3)
LARGE_BYTES = 8 * 1024 * 1024


def give_back_large_memory() -> None:
    """Let the C library return blocks as large as a hash's as soon as they are free.

    glibc would keep one for every thread that ever computed a hash: hundreds of MiB after a burst of log-ins.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, and need none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


class Passwords:
    """Hashes and compares.  Thread-safe; argon2 runs without the interpreter's lock."""

    def __init__(self, *, memory_kib: int, passes: int, lanes: int, at_once: int, wait_s: float, longest: int) -> None:
        give_back_large_memory()
        self._hasher = PasswordHasher(passes, memory_kib, lanes, type=Type.ID)
        self._turns = threading.BoundedSemaphore(at_once)
        self._wait_s, self._longest = wait_s, longest
        self._nobodys = self._hasher.hash(token_urlsafe(32))

    def may_be_one(self, password: str) -> bool:
        """Whether it is worth a look at all: this costs nothing and says nothing about any user."""
        return 0 < len(password) <= self._longest

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Around everything that hashes for a client, so that a flood of log-ins holds a bounded share of the machine."""
        if not self._turns.acquire(timeout=self._wait_s):
            raise Unavailable("Too many log-ins at once; try again in a few seconds.")
        try:
            yield
        finally:
            self._turns.release()

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Compares with nobody's hash, in the same time, when there is none to compare with."""
        try:
            return self._hasher.verify(stored or self._nobodys, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, stored: str) -> bool:
        """Hashed with other numbers than today's."""
        return self._hasher.check_needs_rehash(stored)
