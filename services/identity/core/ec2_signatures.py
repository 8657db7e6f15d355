"""Signatures of requests to EC2 and S3, versions 2 and 4.

Version 2: AWS "Signature Version 2 signing process".  Version 4: AWS "Create a signed AWS API request".
The older ones are not taken: they sign with SHA-1, and leave out the host.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

V4 = "AWS4-HMAC-SHA256"
DIGESTS = {"HmacSHA256": "sha256", "HmacSHA1": "sha1"}
GOOD_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request to EC2 as the service that got it tells of it."""

    signature: str
    host: str = ""
    verb: str = ""
    path: str = "/"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body_hash: str = ""

    @property
    def is_v4(self) -> bool:
        authorization = self.headers.get("authorization", "")
        return self.params.get("X-Amz-Algorithm") == V4 or authorization.startswith(V4)

    def signed_at(self) -> datetime | None:
        """None: it does not say, or nonsense."""
        written = self.headers.get("x-amz-date") or self.params.get("X-Amz-Date") or self.params.get("Timestamp") or ""
        for form in ("%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S"):
            try:
                return datetime.strptime(written, form).replace(tzinfo=UTC)
            except ValueError:
                continue
        return None


def is_fresh(signed: Signed, now: datetime) -> bool:
    """Signed a little while ago by either clock, or to be used before a time that has not come."""
    if (expires := signed.params.get("Expires")) is not None and not signed.is_v4:
        try:
            return now < datetime.strptime(expires[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return False
    at = signed.signed_at()
    return at is not None and abs(now - at) <= GOOD_FOR


def is_right(signed: Signed, secret: str) -> bool:
    """Whether the holder of `secret` signed it.  A host is also tried without its port, which some clients leave out."""
    hosts = dict.fromkeys((signed.host, signed.host.partition(":")[0]))
    made = (_v4(signed, secret, host) if signed.is_v4 else _v2(signed, secret, host) for host in hosts)
    return any(one is not None and hmac.compare_digest(one.encode(), signed.signature.encode()) for one in made)


def _v2(signed: Signed, secret: str, host: str) -> str | None:
    digest = DIGESTS.get(signed.params.get("SignatureMethod", "HmacSHA256"))
    if digest is None or signed.params.get("SignatureVersion") != "2":
        return None
    told = "\n".join((signed.verb, host.lower(), signed.path, _query(signed.params, but="Signature")))
    return b64encode(hmac.digest(secret.encode(), told.encode(), digest)).decode()


def _v4(signed: Signed, secret: str, host: str) -> str | None:
    fields = _fields(signed)
    scope, names = fields.get("Credential", "").split("/")[1:], fields.get("SignedHeaders", "").split(";")
    at = signed.headers.get("x-amz-date") or signed.params.get("X-Amz-Date", "")
    if len(scope) != 4 or "host" not in names or not at.startswith(scope[0]):
        return None
    headers = {**signed.headers, "host": host}
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    query = _query(signed.params, but="X-Amz-Signature")
    request = "\n".join((signed.verb, signed.path, query, lines, ";".join(names), signed.body_hash))
    told = "\n".join((V4, at, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()))
    return hmac.digest(_v4_key(secret, scope), told.encode(), "sha256").hex()


def _fields(signed: Signed) -> dict[str, str]:
    """Credential, SignedHeaders …: from the header, or from the query."""
    authorization = signed.headers.get("authorization", "")
    if authorization.startswith(V4):
        parts = (part.strip().partition("=") for part in authorization[len(V4) :].split(","))
        return {name: value for name, _, value in parts}
    return {name.removeprefix("X-Amz-"): value for name, value in signed.params.items() if name.startswith("X-Amz-")}


def _v4_key(secret: str, scope: list[str]) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _query(params: Mapping[str, str], *, but: str) -> str:
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in params.items() if name != but
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def is_right_for_s3(secret: str, *, token: str, signature: str) -> bool:
    """`token`: the text that was signed, in base64.  S3's own version 2 signs with SHA-1; it still is what its clients send."""
    try:
        told = b64decode(token, validate=False)
    except ValueError:
        return False
    if told.startswith(V4.encode()):
        lines = told.decode(errors="replace").split("\n")
        scope = lines[2].split("/") if len(lines) == 4 else []
        made = hmac.digest(_v4_key(secret, scope), told, "sha256").hex() if len(scope) == 4 else ""
    else:
        made = b64encode(hmac.digest(secret.encode(), told, "sha1")).decode()
    return bool(made) and hmac.compare_digest(made.encode(), signature.encode())
