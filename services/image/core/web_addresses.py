"""Which addresses of the web an image may be downloaded from: nothing that leads back inside.

Host names are judged by what they resolve to, so that no other spelling of an address gets past.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from common.errors import InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = {"http": 80, "https": 443}
LONGEST_URI = 2048
NAT64, SIX_TO_FOUR, COMPATIBLE = (ip_network(text) for text in ("64:ff9b::/96", "2002::/16", "::/96"))


@dataclass(frozen=True, slots=True)
class WebRules:
    """`networks` are those that the operator allows although they are private."""

    ports: frozenset[int]
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A web address that may be asked, once its host is resolved and seen to be outside."""

    scheme: str
    host: str
    port: int
    path: str  # with the query


def checked(uri: str, rules: WebRules) -> Target:
    """InvalidInput unless scheme, port and form are allowed"""
    try:
        parts = urlsplit(uri)
        port = PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError as error:
        raise _refused(uri) from error
    if not _is_plain(uri, parts) or port not in rules.ports:
        raise _refused(uri)
    path = parts.path or "/"
    return Target(parts.scheme, str(parts.hostname), port, f"{path}?{parts.query}" if parts.query else path)


def _is_plain(uri: str, parts: SplitResult) -> bool:
    return (
        len(uri) <= LONGEST_URI
        and uri.isascii()
        and all(" " < letter < "\x7f" and letter != "\\" for letter in uri)
        and parts.scheme in PORTS
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and "%" not in parts.netloc
    )


def _refused(uri: str) -> InvalidInput:
    return InvalidInput(f"URI for web-download does not pass filtering: {uri[:200]}")


def may_be_asked(text: str, networks: Collection[Network]) -> bool:
    """Whether this address, and what is wrapped into it, is outside or in a network that is allowed."""
    return all(_is_outside(one) or any(one in network for network in networks) for one in _faces(ip_address(text)))


def _is_outside(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _faces(address: Address) -> list[Address]:
    """An IPv6 address that carries an IPv4 one reaches that."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    number = int(address)
    if address in NAT64:
        return [IPv4Address(number & 0xFFFFFFFF)]
    if address in COMPATIBLE and number > 1:
        return [address, IPv4Address(number & 0xFFFFFFFF)]
    if address in SIX_TO_FOUR:
        return [address, IPv4Address(number >> 80 & 0xFFFFFFFF)]
    return [address]
