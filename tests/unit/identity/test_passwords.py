"""Hashing passwords costs what it should, and no memory that stays."""

from __future__ import annotations

import threading
from pathlib import Path
from resource import getpagesize

from services.identity.core.passwords import Passwords

MIB = 1024 * 1024


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


def test_a_burst_of_logins_leaves_no_memory_behind() -> None:
    passwords = Passwords(memory_kib=19_456, passes=1, lanes=1, at_once=2, wait_s=60, longest=100)
    meet, part = threading.Barrier(17), threading.Barrier(17)
    stored = passwords.hash("right")

    def compare() -> None:
        meet.wait(60)
        with passwords.turn():
            assert passwords.matches(stored, "right")
        part.wait(60)

    threads = [threading.Thread(target=compare) for _ in range(16)]
    for thread in threads:
        thread.start()
    before = _resident()
    meet.wait(60)
    part.wait(60)  # all have hashed; none has ended
    after = _resident()
    for thread in threads:
        thread.join()

    assert after - before < 60 * MIB  # what each thread kept would be 16 times 19 MiB


def test_two_hashes_of_one_password_differ_and_both_match() -> None:
    passwords = Passwords(memory_kib=64, passes=1, lanes=1, at_once=1, wait_s=1, longest=100)

    first, second = passwords.hash("same"), passwords.hash("same")

    assert first != second
    assert passwords.matches(first, "same") and passwords.matches(second, "same")
    assert not passwords.matches(first, "Same")
    assert not passwords.matches("not a hash", "same")
