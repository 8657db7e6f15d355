"""Public keys of users: read, fingerprinted, generated."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.errors import InvalidInput

LONGEST_KEY = 16_384


@dataclass(frozen=True, slots=True)
class Generated:
    """`private` is shown once and kept nowhere."""

    public: str
    private: str = field(repr=False)
    fingerprint: str


def fingerprint_of(public_key: str, kind: str) -> str:
    """MD5 of an ssh key's blob, SHA1 of an x509 certificate, in pairs of hex digits.  InvalidInput"""
    if len(public_key) > LONGEST_KEY:
        raise InvalidInput("Keypair data is invalid: the key is too long")
    return _of_certificate(public_key) if kind == "x509" else _of_ssh(public_key)


def generate_ssh(comment: str, *, bits: int) -> Generated:
    """A new RSA pair; takes tenths of a second of computing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    text = f"{public.decode()} {comment}"
    return Generated(text, private.decode(), _of_ssh(text))


def _of_ssh(public_key: str) -> str:
    try:
        serialization.load_ssh_public_key(public_key.strip().encode())
        blob = base64.b64decode(public_key.split()[1])
    except (ValueError, IndexError, UnsupportedAlgorithm, binascii.Error) as error:
        raise InvalidInput("Keypair data is invalid: failed to generate fingerprint") from error
    return _pairs(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def _of_certificate(certificate: str) -> str:
    try:
        digest = x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA1())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("Keypair data is invalid: failed to generate X509 fingerprint") from error
    return _pairs(digest.hex())


def _pairs(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
