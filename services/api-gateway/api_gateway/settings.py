"""Options of the gateway: section `[gateway]` of `pileus.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from common.settings import Section


class GatewaySettings(Section):
    """The one public address."""

    section: ClassVar[str] = "gateway"

    listen: str = Field("127.0.0.1:8470", description="HOST:PORT that clients connect to")
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate and its chain; with it, HTTPS"
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key")

    identity_url: str | None = Field(None, description="Where identity listens; unset: this cloud has none")
    image_url: str | None = Field(None, description="Where the image service listens")
    compute_url: str | None = Field(None, description="Where the compute API listens")
    placement_url: str | None = Field(None, description="Where the placement API listens")
    volume_url: str | None = Field(None, description="Where the volume API listens")
    network_url: str | None = Field(None, description="Where the network API listens")
    console_url: str | None = Field(None, description="Where the consoles are")

    most_sockets: int = Field(1000, ge=1, description="Websockets (open consoles) at once; more are told to come again")
    most_requests: int = Field(1000, ge=1, description="Requests under way at once; more are told to come again")
    body_bytes: int = Field(1_048_576, ge=1024, description="Longest request body, except the bytes of an image")
    url_bytes: int = Field(8192, ge=256, description="Longest path with its query")
    header_count: int = Field(100, ge=10, description="Most headers of a request")
    header_bytes: int = Field(32_768, ge=1024, description="Most bytes in the headers of a request, names and values")

    header_timeout_s: float = Field(20, gt=0, description="A request's headers must be here this long after it began")
    idle_timeout_s: float = Field(60, gt=0, description="A client that neither sends nor takes a byte is let go")
    keep_alive_s: int = Field(75, ge=1, description="How long a connection without requests stays open")
    connect_timeout_s: float = Field(5, gt=0, description="How long a service may take to accept a connection")
    answer_timeout_s: float = Field(180, gt=0, description="How long a service may keep silent once it has the request")
    connections: int = Field(200, ge=1, description="Most connections to one service")
