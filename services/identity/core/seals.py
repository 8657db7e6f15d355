"""Texts that the database must not give away: sealed with the cloud's secret, each purpose with a key of its own."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived_key(secret: str, purpose: str) -> bytes:
    """32 bytes that tell nothing of the secret, nor of another purpose's key."""
    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())


class TextSeal:
    """Closes and opens texts."""

    def __init__(self, secret: str, purpose: str) -> None:
        self._fernet = Fernet(urlsafe_b64encode(derived_key(secret, purpose)))

    def closed(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def opened(self, sealed: str) -> str | None:
        """None when another secret sealed it."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            return None
