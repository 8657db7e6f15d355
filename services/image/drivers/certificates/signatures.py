"""Whether bytes are signed by whom they are said to be: certificates of one directory, each a file named by its UUID.

Keys and paddings are those that the cursive library takes.  Only the digest is held, however many bytes come.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.image.core.signatures import CURVES, DSA, RSA_PSS, BadSignature, Signature

LARGEST_CERTIFICATE = 64 << 10
PIECE_BYTES = 1 << 20
FAILED = "Signature verification failed"


class SignatureCheck:
    """One signature over bytes that come in pieces.  For one thread at a time."""

    def __init__(self, signature: Signature, key: Any) -> None:
        self._signature, self._key = signature, key
        self._digest = hashlib.new(signature.hash_name)
        self.size = 0

    def update(self, piece: bytes) -> None:
        self._digest.update(piece)
        self.size += len(piece)

    def read(self, path: Path) -> None:
        """Begin again, with all of a file."""
        self._digest, self.size = hashlib.new(self._signature.hash_name), 0
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                self.update(piece)

    def verify(self) -> None:
        """BadSignature unless these bytes were signed with the certificate's key"""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        method: Any = getattr(hashes, self._signature.hash_name.upper())()
        hashed, key_type = Prehashed(method), self._signature.key_type
        how: tuple[Any, ...] = (hashed,)
        if key_type == RSA_PSS:
            how = (padding.PSS(padding.MGF1(method), padding.PSS.MAX_LENGTH), hashed)
        elif key_type in CURVES:
            how = (ec.ECDSA(hashed),)
        try:
            self._key.verify(self._signature.value, self._digest.digest(), *how)
        except (InvalidSignature, ValueError) as error:
            raise BadSignature(f"{FAILED}: the bytes are not those that were signed.") from error


class Certificates:
    """Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def check(self, signature: Signature) -> SignatureCheck:
        """BadSignature unless there is such a certificate, it is valid today, and its key is of the right type"""
        from cryptography import x509

        data = self._read(signature)
        try:
            is_text = data.lstrip().startswith(b"-----BEGIN")
            certificate = (x509.load_pem_x509_certificate if is_text else x509.load_der_x509_certificate)(data)
            key = certificate.public_key()
        except Exception as error:  # the library's own errors are of many kinds
            raise BadSignature(f"{FAILED}: the certificate {signature.certificate_id} cannot be read.") from error
        now = datetime.now(UTC)
        if now < certificate.not_valid_before_utc:
            raise BadSignature(f"{FAILED}: the certificate is not valid before {certificate.not_valid_before_utc}.")
        if now > certificate.not_valid_after_utc:
            raise BadSignature(f"{FAILED}: the certificate expired on {certificate.not_valid_after_utc}.")
        if not _fits(key, signature.key_type):
            raise BadSignature(f"{FAILED}: the certificate's key is none of type {signature.key_type}.")
        return SignatureCheck(signature, key)

    def _read(self, signature: Signature) -> bytes:
        path = self._directory / str(signature.certificate_id)  # a UUID leads nowhere else
        try:
            with path.open("rb") as file:
                return file.read(LARGEST_CERTIFICATE)
        except OSError as error:
            raise BadSignature(f"{FAILED}: there is no certificate {signature.certificate_id}.") from error


def _fits(key: Any, key_type: str) -> bool:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    if key_type == RSA_PSS:
        return isinstance(key, rsa.RSAPublicKey)
    if key_type == DSA:
        return isinstance(key, dsa.DSAPublicKey)
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == CURVES.get(key_type)
