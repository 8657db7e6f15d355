"""Passcodes that change with time (RFC 6238: SHA-1, six digits, steps of 30 s)."""

from __future__ import annotations

import hmac
from base64 import b32decode

STEP_S = 30
DIGITS = 6
EARLIER_STEPS = 1  # how many steps back are still taken: clocks differ, and people type slowly


def seed(written: str) -> bytes | None:
    """From base32, as authenticator programs show it; None when it is no seed."""
    text = "".join(written.split()).upper().rstrip("=")
    try:
        return b32decode(text + "=" * (-len(text) % 8)) or None
    except ValueError:
        return None


def passcode(key: bytes, step: int) -> str:
    digest = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(key: bytes, given: str, now_s: float) -> int | None:
    """Which step `given` belongs to; None: to none that counts now."""
    current = int(now_s) // STEP_S
    matching = [
        step
        for step in range(current - EARLIER_STEPS, current + 1)
        if hmac.compare_digest(passcode(key, step).encode(), given.encode())
    ]
    return matching[-1] if matching else None
