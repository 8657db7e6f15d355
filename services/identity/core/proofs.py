"""How a process of this cloud shows that it is one, without a token: services need the revocation list to check tokens at all.

A proof is the current time and its keyed digest; the key is the cloud's shared secret, which also signs the bus messages.
"""

from __future__ import annotations

import hmac
import time

HEADER = "x-pileus-proof"
GOOD_FOR_S = 120.0
PURPOSE = b"pileus revocation list "


def prove(secret: str, *, now: float | None = None) -> str:
    at = f"{time.time() if now is None else now:.0f}"
    return f"{at}.{_digest(secret, at)}"


def is_proof(given: str, secret: str, *, now: float | None = None) -> bool:
    """Whether `given` was made with the same secret, not long ago by either clock."""
    at, dot, digest = given.partition(".")
    if not (dot and at.isascii() and at.isdigit() and len(at) < 12):
        return False
    fresh = abs((time.time() if now is None else now) - int(at)) <= GOOD_FOR_S
    return hmac.compare_digest(digest.encode(), _digest(secret, at).encode()) and fresh


def _digest(secret: str, at: str) -> str:
    return hmac.digest(secret.encode(), PURPOSE + at.encode(), "sha256").hex()
