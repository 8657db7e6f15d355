"""Tokens speak for whom identity signed them, until they expire or are revoked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth.callers import Caller
from common.auth.tokens import PublicKeys, Revocation, TokenVerifier, read_token, sign
from common.errors import Unauthenticated, Unavailable

KEY = Ed25519PrivateKey.generate()
KEYS: PublicKeys = {"k1": KEY.public_key()}


def a_caller(**changes: object) -> Caller:
    now = datetime.now(UTC)
    caller = Caller(
        user_id="u1",
        user_domain_id="default",
        issued_at=now,
        expires_at=now + timedelta(hours=1),
        audit_ids=("own", "chain"),
        methods=("password",),
        project_id="p1",
        project_domain_id="default",
        roles=frozenset({"member", "reader"}),
        role_ids=frozenset({"r1"}),
    )
    return replace(caller, **changes)  # type: ignore[arg-type]


def a_verifier(revoked: list[Revocation] | None = None, keys: Callable[[], PublicKeys] = lambda: KEYS) -> TokenVerifier:
    return TokenVerifier(fetch_keys=keys, fetch_revocations=lambda: revoked or [])


def a_revocation(**what: object) -> Revocation:
    now = datetime.now(UTC)
    return Revocation.model_validate(
        {"id": 1, "issued_before": now + timedelta(seconds=1), "expires_at": now + timedelta(hours=1)} | what
    )


def test_a_token_brings_back_the_caller_that_it_was_signed_for() -> None:
    caller = a_caller()

    read = read_token(sign(caller, key=KEY, key_id="k1"), KEYS)

    assert replace(read, issued_at=caller.issued_at, expires_at=caller.expires_at) == caller


@pytest.mark.parametrize("position", range(0, 300, 7))
def test_k3_a_token_with_one_changed_byte_speaks_for_nobody(position: int) -> None:
    token = sign(a_caller(), key=KEY, key_id="k1")
    position %= len(token) - 1
    other = "A" if token[position] != "A" else "B"

    with pytest.raises(Unauthenticated):
        read_token(token[:position] + other + token[position + 1 :], KEYS)


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "é", "x" * 100_000, "\x00"])
def test_what_is_no_token_speaks_for_nobody(token: str) -> None:
    with pytest.raises(Unauthenticated):
        a_verifier().verify(token)


def test_another_key_s_signature_is_refused() -> None:
    forged = sign(a_caller(), key=Ed25519PrivateKey.generate(), key_id="k1")

    with pytest.raises(Unauthenticated):
        a_verifier().verify(forged)


def test_an_expired_token_is_refused() -> None:
    past = datetime.now(UTC) - timedelta(seconds=2)
    token = sign(a_caller(issued_at=past - timedelta(hours=1), expires_at=past), key=KEY, key_id="k1")

    with pytest.raises(Unauthenticated):
        a_verifier().verify(token)


@pytest.mark.parametrize(
    "what",
    [
        {"audit_id": "own"}, {"audit_chain_id": "chain"}, {"user_id": "u1"}, {"project_id": "p1"},
        {"domain_id": "default"}, {"role_id": "r1"}, {"user_id": "u1", "project_id": "p1"},
    ],
)  # fmt: skip
def test_a_revocation_ends_the_tokens_that_it_matches(what: dict[str, str]) -> None:
    verifier = a_verifier()
    token = sign(a_caller(), key=KEY, key_id="k1")
    verifier.verify(token)

    verifier.revoke(a_revocation(**what))

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


@pytest.mark.parametrize(
    "what",
    [{"audit_id": "chain"}, {"user_id": "u2"}, {"user_id": "u1", "project_id": "p2"}, {"role_id": "r2"}],
)
def test_a_revocation_leaves_other_tokens_alone(what: dict[str, str]) -> None:
    verifier = a_verifier([a_revocation(**what)])

    caller = verifier.verify(sign(a_caller(), key=KEY, key_id="k1"))

    assert caller.user_id == "u1"


def test_a_token_issued_after_the_revocation_is_good() -> None:
    earlier = datetime.now(UTC) - timedelta(seconds=5)
    verifier = a_verifier([a_revocation(user_id="u1", issued_before=earlier)])

    assert verifier.verify(sign(a_caller(), key=KEY, key_id="k1")).user_id == "u1"


def test_a_rotated_key_is_learnt_when_its_first_token_comes() -> None:
    keys: dict[str, object] = {}
    verifier = a_verifier(keys=lambda: dict(keys))  # type: ignore[arg-type]
    keys["k1"] = KEY.public_key()

    assert verifier.verify(sign(a_caller(), key=KEY, key_id="k1")).user_id == "u1"


def test_a_flood_of_unknown_tokens_asks_identity_once_a_second() -> None:
    asked = 0

    def fetch() -> PublicKeys:
        nonlocal asked
        asked += 1
        return KEYS

    verifier = a_verifier(keys=fetch)
    forged, began = sign(a_caller(), key=KEY, key_id="unknown"), time.monotonic()

    for _ in range(50):
        with pytest.raises(Unauthenticated):
            verifier.verify(forged)

    assert asked <= 2 + (time.monotonic() - began)


def test_without_identity_and_keys_nobody_is_told_that_the_token_is_bad() -> None:
    def away() -> PublicKeys:
        raise Unavailable("identity does not answer")

    with pytest.raises(Unavailable):
        a_verifier(keys=away).verify(sign(a_caller(), key=KEY, key_id="k1"))


def test_a_token_that_was_checked_before_ends_when_it_is_revoked() -> None:
    verifier, token = a_verifier(), sign(a_caller(), key=KEY, key_id="k1")
    verifier.verify(token)

    verifier.revoke(a_revocation(user_id="u1"))

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_token_that_was_checked_before_ends_with_its_key() -> None:
    keys = dict(KEYS)
    verifier, token = a_verifier(keys=lambda: keys), sign(a_caller(), key=KEY, key_id="k1")
    verifier.verify(token)

    verifier._keys = {"k1": Ed25519PrivateKey.generate().public_key()}

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_token_that_was_checked_before_expires_all_the_same() -> None:
    ended = datetime.now(UTC) - timedelta(seconds=2)
    verifier, token = a_verifier(), sign(a_caller(expires_at=ended), key=KEY, key_id="k1")
    verifier.verify(token, grace_s=3600)  # good and remembered, beside a service's own

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_checked_token_does_not_vouch_for_one_with_another_signature() -> None:
    verifier, token = a_verifier(), sign(a_caller(), key=KEY, key_id="k1")
    verifier.verify(token)
    other = sign(a_caller(), key=Ed25519PrivateKey.generate(), key_id="k1")
    forged = f"{token.rpartition('.')[0]}.{other.rpartition('.')[2]}"

    with pytest.raises(Unauthenticated):
        verifier.verify(forged)
