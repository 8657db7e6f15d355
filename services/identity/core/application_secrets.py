"""Secrets of application credentials.

One that we make is 48 random bytes and a tag that only this cloud can compute: nobody guesses it, so a keyed digest keeps it, and
comparing costs microseconds.  One that a user chose may be guessed, so argon2id keeps it; what matched once is remembered as a
keyed digest, for as long as the process lives.  Which way is taken follows from the secret shown alone, so that the time says
nothing about the credential.  See docs/adr: "Secrets of application credentials".
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_bytes

from services.identity.core.passwords import Passwords
from services.identity.core.seals import derived_key

RANDOM_BYTES, TAG_BYTES = 48, 18
LENGTH = (RANDOM_BYTES + TAG_BYTES) * 4 // 3
KEYED = "hmac-sha256$"
REMEMBERED = 1024


class ApplicationSecrets:
    """Makes, hashes and compares.  Thread-safe."""

    def __init__(self, secret: str, passwords: Passwords) -> None:
        self._key = derived_key(secret, "pileus application credentials")
        self._passwords = passwords
        self._matched: dict[str, str] = {}  # argon2 hash -> digest of the secret that matched it

    def make(self) -> str:
        """88 characters that are good in a URL and in a shell."""
        random = token_bytes(RANDOM_BYTES)
        return urlsafe_b64encode(random + self._tag(random)).decode()

    def is_ours(self, shown: str) -> bool:
        """Whether this cloud made it, for whatever credential."""
        if len(shown) != LENGTH or not shown.isascii():
            return False
        try:
            given = urlsafe_b64decode(shown)
        except ValueError:
            return False
        random, tag = given[:RANDOM_BYTES], given[RANDOM_BYTES:]
        return hmac.compare_digest(tag, self._tag(random))

    def hash(self, secret: str) -> str:
        """What is stored.  May take a turn of the password hasher; Unavailable"""
        if self.is_ours(secret):
            return self._digest(secret)
        with self._passwords.turn():
            return self._passwords.hash(secret)

    def matches(self, stored: str | None, shown: str) -> bool:
        """The same work whether or not there is something to compare with."""
        digest = self._digest(shown)
        if self.is_ours(shown):
            return hmac.compare_digest(stored or "", digest)
        if stored is not None and hmac.compare_digest(self._matched.get(stored, ""), digest):
            return True
        argon2 = None if stored is None or stored.startswith(KEYED) else stored
        with self._passwords.turn():
            if not self._passwords.matches(argon2, shown):
                return False
        if len(self._matched) >= REMEMBERED:
            self._matched = {}
        self._matched[stored or ""] = digest
        return True

    def _tag(self, random: bytes) -> bytes:
        return hmac.digest(self._key, b"tag " + random, "sha256")[:TAG_BYTES]

    def _digest(self, secret: str) -> str:
        return KEYED + hmac.digest(self._key, b"secret " + secret.encode(), "sha256").hex()
