"""Tokens: signed by identity (JWS, Ed25519, rotating keys), verified by each service with no call per request.

Revocation is a short list of `Revocation`s that identity pushes over the bus and serves over HTTP.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.types import Options
from pydantic import BaseModel, ConfigDict

from common.auth.access_rules import AccessRule
from common.auth.callers import Caller
from common.errors import Unauthenticated, Unavailable

ALGORITHM = "EdDSA"
LONGEST_TOKEN = 8192
LONGEST_HEADER = 512
EXPIRED_GRACE_S = 172_800.0  # how long an ended token is still good beside a service's own: its long work goes on
REMEMBERED = 512  # tokens whose signature a process need not check again
NOT_VALID = "The request you have made requires authentication."

PublicKeys = Mapping[str, Ed25519PublicKey]
"""Key id -> key; identity's current and former keys."""


class Revocation(BaseModel):
    """Ends every token that matches all that is set and was issued at or before `issued_before`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    audit_id: str | None = None  # this one token
    audit_chain_id: str | None = None  # it and all that were rescoped from it
    user_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    role_id: str | None = None
    credential_id: str | None = None  # application credential
    trust_id: str | None = None
    issued_before: datetime
    expires_at: datetime  # no token that it could end lives longer

    def ends(self, caller: Caller) -> bool:
        return caller.issued_at <= self.issued_before and all(
            (
                self.audit_id in (None, caller.audit_ids[0]),
                self.audit_chain_id is None or self.audit_chain_id in caller.audit_ids,
                self.user_id in (None, caller.user_id, *caller.trust_users),
                self.project_id in (None, caller.project_id),
                self.domain_id in (None, caller.domain_id, caller.user_domain_id, caller.project_domain_id),
                self.role_id is None or self.role_id in caller.role_ids,
                self.credential_id in (None, caller.application_credential_id),
                self.trust_id in (None, caller.trust_id),
            )
        )

    def key(self) -> tuple[str, str]:
        """The rarest thing that it asks of a token: where to look for it."""
        for name in ("audit_id", "audit_chain_id", "trust_id", "credential_id", "user_id", "project_id", "role_id"):
            if (value := getattr(self, name)) is not None:
                return name, value
        return "", ""


def _keys_of(caller: Caller) -> list[tuple[str, str]]:
    """Under which keys revocations that end this caller's token can stand."""
    found = [("", ""), ("audit_id", caller.audit_ids[0]), ("user_id", caller.user_id)]
    found += [("audit_chain_id", one) for one in caller.audit_ids]
    found += [("user_id", one) for one in caller.trust_users]
    found += [("role_id", one) for one in caller.role_ids]
    single = (
        ("trust_id", caller.trust_id),
        ("credential_id", caller.application_credential_id),
        ("project_id", caller.project_id),
    )
    return found + [(name, value) for name, value in single if value is not None]


def sign(caller: Caller, *, key: Ed25519PrivateKey, key_id: str, audience: str | None = None) -> str:
    """The token that says who `caller` is, until `caller.expires_at`.  With an audience it is good for nobody else."""
    meant_for = {} if audience is None else {"aud": audience}
    return jwt.encode(claims_of(caller) | meant_for, key, algorithm=ALGORITHM, headers={"kid": key_id})


def read_token(token: str, keys: PublicKeys, *, grace_s: float = 0, audience: str | None = None) -> Caller:
    """Who the token speaks for, if one of `keys` signed it and it ended no more than `grace_s` ago.  Unauthenticated

    When it was issued is not compared with our clock: the issuer's may be a little ahead.
    """
    try:
        key = keys[key_id(token)]
        checks: Options = {"require": ["exp", "iat", "sub"], "verify_iat": False}
        claims = jwt.decode(token, key, algorithms=[ALGORITHM], options=checks, leeway=grace_s, audience=audience)
        return caller_of(claims, token)
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
        raise Unauthenticated(NOT_VALID) from error


def key_id(token: str) -> str:
    """Which key it says signed it: nothing is checked yet.  Unauthenticated"""
    header = token.partition(".")[0]
    if len(token) > LONGEST_TOKEN or len(header) > LONGEST_HEADER:
        raise Unauthenticated(NOT_VALID)
    try:
        return _key_id_in(header)
    except (ValueError, KeyError, TypeError) as error:
        raise Unauthenticated(NOT_VALID) from error


@lru_cache(maxsize=64)
def _key_id_in(header: str) -> str:
    """All tokens of one key have the same header."""
    found = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    if not isinstance(found, str):
        raise ValueError("a key id is a text")
    return found


# fmt: off
_NAMES = {  # claim -> field of Caller
    "sub": "user_id",      "udn": "user_domain_id",
    "prj": "project_id",   "pdn": "project_domain_id",
    "dom": "domain_id",    "sys": "is_system",
    "met": "methods",      "aud_ids": "audit_ids",
    "rol": "roles",        "rid": "role_ids",
    "adm": "is_admin_project",
    "tru": "trust_id",     "tus": "trust_users",
    "apc": "application_credential_id", "rst": "is_restricted", "acr": "access_rules",
}
# fmt: on


def claims_of(caller: Caller) -> dict[str, Any]:
    """Who a token speaks for, as JSON: what may be kept where the token itself may not."""
    claims = {
        claim: value for claim, name in _NAMES.items() if (value := getattr(caller, name)) not in (None, False, ())
    }
    claims |= {"iat": caller.issued_at.timestamp(), "exp": caller.expires_at.timestamp()}
    return {claim: sorted(value) if isinstance(value, frozenset) else value for claim, value in claims.items()}


def caller_of(claims: Mapping[str, Any], token: str = "") -> Caller:
    """The other way round."""
    known: dict[str, Any] = {name: claims[claim] for claim, name in _NAMES.items() if claim in claims}
    return Caller(
        **known
        | {
            "methods": tuple(known.get("methods", ())),
            "audit_ids": tuple(known["audit_ids"]),
            "roles": frozenset(known.get("roles", ())),
            "role_ids": frozenset(known.get("role_ids", ())),
            "trust_users": tuple(known.get("trust_users", ())),
            "access_rules": tuple(AccessRule(*one) for one in known.get("access_rules", ())),
            "issued_at": datetime.fromtimestamp(claims["iat"], UTC),
            "expires_at": datetime.fromtimestamp(claims["exp"], UTC),
            "token": token,
        }
    )


@dataclass
class TokenVerifier:
    """Checks tokens for one process: signature, expiry, revocation.  Thread-safe.

    `fetch_keys` and `fetch_revocations` ask identity; revocations also arrive by `revoke` from the bus.
    """

    fetch_keys: Callable[[], PublicKeys]
    fetch_revocations: Callable[[], Iterable[Revocation]]
    _keys: PublicKeys = field(default_factory=dict)
    _signed: dict[str, tuple[Ed25519PublicKey, Caller]] = field(default_factory=dict)  # token -> by which key, for whom
    _revoked: dict[int, Revocation] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], list[Revocation]] = field(default_factory=dict)  # the same, found without a search
    _asked_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _learning: threading.Lock = field(default_factory=threading.Lock)

    def verify(self, token: str, *, grace_s: float = 0) -> Caller:
        """Who is calling.  May ask identity for new keys.  Unauthenticated; Unavailable while its keys were never seen.

        `grace_s`: how long ago the token may have ended.
        """
        try:
            return self.verify_here(token, grace_s=grace_s)
        except Unauthenticated:
            if not self.may_be_new(token) or not self._learn_keys():
                raise
            return self.verify_here(token, grace_s=grace_s)

    def may_be_new(self, token: str) -> bool:
        """Whether a key that was not seen here yet may have signed it."""
        try:
            return key_id(token) not in self._keys
        except Unauthenticated:
            return False

    def verify_here(self, token: str, *, grace_s: float = 0) -> Caller:
        """Who is calling, by the keys already known: asks nobody, takes microseconds.  Unauthenticated"""
        caller = self._read(token, self._keys, grace_s)
        if self.is_revoked(caller):
            raise Unauthenticated(NOT_VALID)
        return caller

    def is_revoked(self, caller: Caller) -> bool:
        """Whether the token that told of this caller was ended before its time, as far as is known here."""
        by_key = self._by_key
        return any(one.ends(caller) for key in _keys_of(caller) for one in by_key.get(key, ()))

    def _read(self, token: str, keys: PublicKeys, grace_s: float = 0) -> Caller:
        """Its signature is checked once for each key; that we have the key, and when the token ends, each time."""
        key, (signed_by, caller) = keys.get(key_id(token)), self._signed.get(token, (None, None))
        oldest = datetime.now(UTC) - timedelta(seconds=grace_s)
        if key is not None and caller is not None and signed_by is key and caller.expires_at > oldest:
            return caller
        caller = read_token(token, keys, grace_s=grace_s)
        if key is not None:
            if len(self._signed) >= REMEMBERED:
                self._signed = {}
            self._signed[token] = (key, caller)
        return caller

    def revoke(self, revocation: Revocation) -> None:
        """Count this one from now on; twice is once."""
        with self._lock:
            if revocation.id not in self._revoked:
                key = revocation.key()
                self._revoked = self._revoked | {revocation.id: revocation}
                self._by_key = self._by_key | {key: [*self._by_key.get(key, ()), revocation]}

    def refresh(self) -> None:
        """Ask identity for the whole list, and forget what no token outlives.  Unavailable"""
        now = datetime.now(UTC)
        fresh = {one.id: one for one in self.fetch_revocations()}
        with self._lock:
            self._revoked = {key: one for key, one in (self._revoked | fresh).items() if one.expires_at > now}
            by_key: dict[tuple[str, str], list[Revocation]] = {}
            for one in self._revoked.values():
                by_key.setdefault(one.key(), []).append(one)
            self._by_key = by_key

    def _learn_keys(self) -> bool:
        """Fetch the keys, at most once a second however many unknown tokens come; whether another look is worth it.

        Who comes while they are being fetched waits for them: its token may be good.
        """
        with self._learning:
            if time.monotonic() - self._asked_at < 1.0:
                if not self._keys:
                    raise Unavailable("The keys that tokens are signed with are not known yet.")
                return True
            try:
                self._keys = dict(self.fetch_keys())
                self.refresh()
            except Unavailable:
                if not self._keys:
                    raise
                return False
            finally:
                self._asked_at = time.monotonic()
        return True
