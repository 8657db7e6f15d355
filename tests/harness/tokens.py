"""Tokens for a service that runs on its own, signed here instead of by identity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth.callers import Caller
from common.auth.tokens import TokenVerifier, sign

ALICE, BOB = "a1" * 16, "b0" * 16  # two projects

_KEY = Ed25519PrivateKey.generate()


def signed_token(*, project: str | None, roles: tuple[str, ...], user: str) -> str:
    """Good for an hour."""
    now = datetime.now(UTC)
    caller = Caller(
        user_id=user,
        user_domain_id="default",
        issued_at=now,
        expires_at=now + timedelta(hours=1),
        audit_ids=(uuid4().hex,),
        project_id=project,
        project_domain_id="default",
        roles=frozenset(roles),
    )
    return sign(caller, key=_KEY, key_id="test")


def a_verifier() -> TokenVerifier:
    """Knows the key of `signed_token`, and of no revocation."""
    return TokenVerifier(fetch_keys=lambda: {"test": _KEY.public_key()}, fetch_revocations=list)
