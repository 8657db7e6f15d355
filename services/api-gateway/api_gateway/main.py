"""Builds the gateway: in front of applications of this process, or of services elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp

from api_gateway.edge import Edge
from api_gateway.own import Own
from api_gateway.protocol import BoundedProtocol, bounded_by
from api_gateway.proxy import Proxy
from api_gateway.services import WITH_SOCKETS, addresses
from api_gateway.settings import GatewaySettings
from common.errors import InvalidInput
from common.process import Part, Surroundings


def build(surroundings: Surroundings, services: Mapping[str, ASGIApp] | None = None) -> Part:
    """The gateway in front of `services`; None: of those whose addresses its settings name."""
    settings = GatewaySettings.read(surroundings.settings_file)
    proxies = {} if services is not None else _proxies(settings)
    inner: Mapping[str, ASGIApp] = services if services is not None else proxies
    closing = tuple(proxy.close for proxy in proxies.values())
    edge = Edge(settings, inner, Own(surroundings.platform, inner), closing)
    return Part(name="gateway", app=edge, listen=settings.listen, takes_sockets=bool(WITH_SOCKETS & inner.keys()))


def _proxies(settings: GatewaySettings) -> dict[str, Proxy]:
    return {name: Proxy(name, url, settings) for name, url in addresses(settings).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What the server at the public address must be told besides the application."""

    protocol: type[BoundedProtocol]
    keep_alive_s: int
    certificate: str | None
    key: str | None


def front(surroundings: Surroundings) -> Front:
    """How to serve it.  InvalidInput if only one of the two TLS files is named."""
    settings = GatewaySettings.read(surroundings.settings_file)
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise InvalidInput("Section [gateway]: tls_certificate and tls_key belong together; one of them is missing")
    return Front(
        protocol=bounded_by(settings),
        keep_alive_s=settings.keep_alive_s,
        certificate=str(settings.tls_certificate) if settings.tls_certificate else None,
        key=str(settings.tls_key) if settings.tls_key else None,
    )
