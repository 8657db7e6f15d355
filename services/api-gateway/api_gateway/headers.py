"""Which headers pass the edge.

Who the caller is follows from the token alone.  What middleware of other clouds would write about the caller into headers is
removed from every request, in any spelling, and so is what only a proxy may say (CVE-2026-22797 and its elders).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from common.errors import InvalidInput

Pairs: TypeAlias = list[tuple[bytes, bytes]]

# fmt: off
_ABOUT_THE_CALLER = (  # beginnings
    b"x-user",     b"x-project",  b"x-tenant",   b"x-domain",        b"x-role",      b"x-identity",
    b"x-is-admin", b"x-admin",    b"x-system-",  b"x-service-",      b"x-auth-user", b"x-auth-project",
    b"x-auth-tenant", b"x-auth-role", b"x-trust", b"x-token-",       b"x-external-", b"x-key-manager",
    b"x-remote-",  b"remote-",    b"x-federation", b"x-forwarded",   b"x-original-", b"openstack-identity",
)
_ABOUT_THE_WAY = frozenset((
    b"forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"x-host", b"proxy",
    b"x-rewrite-url", b"x-http-method", b"x-http-method-override", b"x-method-override", b"x-script-name", b"via",
))
_OF_ONE_CONNECTION = frozenset((  # RFC 9110, section 7.6.1
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization",
    b"te", b"trailer", b"upgrade", b"http2-settings",
))
# fmt: on
_OURS = frozenset((b"x-service-token",))  # a real token, verified like any other
_NEEDED = frozenset((b"host", b"content-length", b"transfer-encoding", b"x-auth-token", b"x-service-token"))
_HOST = re.compile(rb"[A-Za-z0-9._~-]{1,255}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


def is_forged(name: bytes) -> bool:
    """Whether only a part of the cloud, never a client, could rightly say this.  `name` is in lower case."""
    if b"_" in name:  # some programs read x_roles as x-roles
        return True
    return (name.startswith(_ABOUT_THE_CALLER) and name not in _OURS) or name in _ABOUT_THE_WAY


def from_client(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """What a service may see of a request's headers."""
    kept = [(name, value) for name, value in headers if not is_forged(name)]
    return end_to_end(kept)


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """All but those that are meant for the next program only, or that `Connection` says are."""
    pairs = list(headers)
    listed = {
        one.strip().lower() for name, value in pairs if name.lower() == b"connection" for one in value.split(b",")
    }
    dropped = (listed - _NEEDED) | _OF_ONE_CONNECTION
    return [(name, value) for name, value in pairs if name.lower() not in dropped]


def without_handshake(headers: Pairs) -> Pairs:
    """A websocket's headers less what each hop says for itself, and cookies: they would let a foreign page act for a person."""
    return [(name, value) for name, value in headers if not name.startswith(b"sec-websocket-") and name != b"cookie"]


def host_of(headers: Iterable[tuple[bytes, bytes]], http_version: str) -> bytes:
    """The one Host, or nothing from an HTTP/1.0 client.  InvalidInput"""
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts and http_version == "1.0":
        return b""
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise InvalidInput("The request needs one valid Host header")
    return hosts[0]


def from_gateway(*, prefix: str, host: bytes, scheme: str, client: str) -> Pairs:
    """What the gateway itself says about the way a request came."""
    return [
        (b"x-forwarded-prefix", f"/{prefix}".encode()),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-for", client.encode()),
    ]


def has_body(headers: Pairs) -> bool:
    """Whether a request with these brings a body."""
    return any((name == b"content-length" and value != b"0") or name == b"transfer-encoding" for name, value in headers)
