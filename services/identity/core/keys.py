"""Signing keys: Ed25519 pairs, the private half sealed with the cloud's own secret before it is stored.

A copy of the database alone is then not enough to forge tokens.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PURPOSE = b"pileus identity signing keys"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new key as it is stored."""

    id: str
    public: str  # 32 bytes, base64url without padding: the `x` of its JWK
    sealed: str  # the private half


class Seal:
    """Closes and opens private keys with one secret."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=PURPOSE).derive(secret.encode())
        self._fernet = Fernet(urlsafe_b64encode(derived))

    def new_pair(self) -> KeyPair:
        private = Ed25519PrivateKey.generate()
        public = urlsafe_b64encode(private.public_key().public_bytes_raw()).decode().rstrip("=")
        return KeyPair(uuid4().hex, public, self._fernet.encrypt(private.private_bytes_raw()).decode())

    def opened(self, sealed: str) -> Ed25519PrivateKey | None:
        """The private key; None when another secret sealed it."""
        try:
            return Ed25519PrivateKey.from_private_bytes(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            return None


def public_key(written: str) -> Ed25519PublicKey:
    """From the `x` of a JWK.  ValueError"""
    return Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(written + "=" * (-len(written) % 4)))


def jwk(key_id: str, public: str) -> dict[str, str]:
    """RFC 8037, section 2."""
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id, "x": public}
