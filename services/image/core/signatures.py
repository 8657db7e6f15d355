"""Signatures of images: four properties that say who signed the bytes, and how.

Words: Glance, "Image Signature Verification"; what they mean exactly: the cursive library.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from common.errors import PlatformError

VALUE, HASH, KEY, CERTIFICATE = NAMES = (
    "img_signature",
    "img_signature_hash_method",
    "img_signature_key_type",
    "img_signature_certificate_uuid",
)
HASHES = {"SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
RSA_PSS, DSA = "RSA-PSS", "DSA"
CURVES = {"ECC_SECP521R1": "secp521r1", "ECC_SECP384R1": "secp384r1"}
OUTDATED = frozenset({"ECC_SECT571K1", "ECC_SECT409K1", "ECC_SECT571R1", "ECC_SECT409R1"})  # nothing computes them now
LONGEST = 8192


class BadSignature(PlatformError):
    """What is said to be signed is not, or not so that it could be seen."""

    status, code = 400, "image.signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    value: bytes
    hash_name: str  # hashlib's
    key_type: str
    certificate_id: UUID


def is_signed(properties: Mapping[str, str]) -> bool:
    return any(name in properties for name in NAMES)


def signature_of(properties: Mapping[str, str]) -> Signature | None:
    """None for an image without one.  BadSignature if what is said of it is no signature that can be verified"""
    if not is_signed(properties):
        return None
    if missing := [name for name in NAMES if name not in properties]:
        raise _invalid(f"the image has no {' and no '.join(missing)}")
    key_type = properties[KEY]
    if key_type in OUTDATED:
        raise _invalid(f"keys of type {key_type} are no longer supported")
    if key_type not in (RSA_PSS, DSA, *CURVES):
        raise _invalid(f"{KEY} must be one of {', '.join((RSA_PSS, DSA, *CURVES))}")
    if properties[HASH] not in HASHES:
        raise _invalid(f"{HASH} must be one of {', '.join(HASHES)}")
    return Signature(
        value=_bytes(properties[VALUE]),
        hash_name=HASHES[properties[HASH]],
        key_type=key_type,
        certificate_id=_id(properties[CERTIFICATE]),
    )


def _bytes(text: str) -> bytes:
    """What `openstack image create --sign-key-path` sends is bytes as Python prints them: b'…'."""
    try:
        if len(text) > LONGEST:
            raise ValueError
        if text.startswith("b'") and text.endswith("'"):
            text = text[2:-1]
        return base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise _invalid(f"{VALUE} is not base64") from error


def _id(text: str) -> UUID:
    try:
        found = UUID(text)
    except ValueError as error:
        raise _invalid(f"{CERTIFICATE} is not a UUID") from error
    if str(found) != text.lower():
        raise _invalid(f"{CERTIFICATE} is not a UUID")
    return found


def _invalid(why: str) -> BadSignature:
    return BadSignature(f"Signature verification failed: {why}.")
