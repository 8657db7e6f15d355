"""Which service a path belongs to: its first segment, as it stands in the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from api_gateway.settings import GatewaySettings
from common.errors import InvalidInput, NotFound

# fmt: off
SERVICES = {  # first segment -> what people call it
    "identity":  "identity",
    "compute":   "compute",
    "placement": "placement",
    "image":     "image",
    "volume":    "volume",
    "network":   "network",
    "console":   "console",
}
# fmt: on
WITH_SOCKETS = frozenset(("console",))  # whose websockets pass

_ODD = re.compile(rb"[\x00-\x1f\x7f\\]")
_BYTES_OF_AN_IMAGE = re.compile(rb"/v2/images/[^/]+/(file|stage)/?")


class Target(NamedTuple):
    """Where a request goes: the service, and the path as that service knows it."""

    service: str
    raw_path: bytes


def target_of(raw_path: bytes) -> Target:
    """The service and its own path.  NotFound for any other first segment, InvalidInput for a path that climbs.

    The path is compared as it was sent: `/%69mage` is not `/image`, so nobody reads it in two ways.
    """
    _, _, rest = raw_path.partition(b"/")
    first, _, inner = rest.partition(b"/")
    name = first.decode("latin-1")
    if name not in SERVICES:
        raise NotFound("No service has this path; / names those that are here")
    if climbs(inner):
        raise InvalidInput("The path contains '.', '..' or control characters")
    return Target(name, b"/" + inner)


def climbs(path: bytes) -> bool:
    """Whether some program further on could read this path as another one."""
    plain = unquote_to_bytes(path) if b"%" in path else path
    if _ODD.search(plain):
        return True
    return b"." in plain and any(segment in (b".", b"..") for segment in plain.split(b"/"))


def brings_an_image(target: Target, method: str) -> bool:
    """Whether the body is an image's bytes, which the image service counts by itself."""
    return target.service == "image" and method == "PUT" and _BYTES_OF_AN_IMAGE.fullmatch(target.raw_path) is not None


def addresses(settings: GatewaySettings) -> Mapping[str, str]:
    """Service -> its address, for those that this cloud has."""
    return {name: url for name in SERVICES if (url := getattr(settings, f"{name}_url"))}
