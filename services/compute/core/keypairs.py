"""Public keys of users: read, fingerprinted, generated."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.errors import InvalidInput

LONGEST_KEY = 16_384
PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")  # of Microsoft: user principal name
VALID_FOR = timedelta(days=3650)


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


def generate_x509(user_id: str, *, bits: int, at: datetime) -> Generated:
    """A self-signed certificate with which a user logs in to Windows (WinRM), and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    alternative = x509.OtherName(PRINCIPAL_NAME, _utf8_string(f"{user_id[:100]}@localhost"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return Generated(text, private.decode(), _of_certificate(text))


def _utf8_string(text: str) -> bytes:
    """In DER."""
    data = text.encode()
    return bytes((0x0C, len(data)) if len(data) < 0x80 else (0x0C, 0x82, *divmod(len(data), 256))) + data


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
