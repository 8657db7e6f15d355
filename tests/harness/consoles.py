"""Consoles as a browser reaches them: a Compute API, its consoles, a host with simulated guests, and the gateway in front."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

from starlette.types import ASGIApp
from websockets.sync.client import ClientConnection, connect

from api_gateway.edge import Edge
from api_gateway.own import Own
from api_gateway.protocol import bounded_by
from api_gateway.proxy import Proxy
from api_gateway.settings import GatewaySettings
from common.auth.tokens import Revocation, TokenVerifier
from common.clock import utc_now
from services.compute.agent.calls import handlers
from services.compute.agent.consoles import ConsoleDoor
from services.compute.agent.host import Host
from services.compute.agent.images import HostImages
from services.compute.console.app import console_app
from services.compute.console.kit import ConsoleKit
from services.compute.contract import HOST_QUEUE
from services.compute.core.placement import Ratios
from services.compute.db.hosts import Hosts
from services.compute.drivers.images import ImageCache
from services.compute.drivers.simulated import SimulatedHypervisor, SimulatedOptions
from tests.conftest import a_platform
from tests.harness.compute import Gallery
from tests.harness.tokens import a_verifier
from tests.unit.compute.api.world import World
from tests.unit.compute.drivers.builders import a_spec
from tests.unit.gateway.running import gateway_in_front_of, limits, served

HOST = "screens"
OWN_LOG = logging.getLogger("client of the tests")
OWN_LOG.setLevel("WARNING")


@dataclass
class Consoles:
    """What the tests hold in their hands."""

    world: World
    kit: ConsoleKit
    host: Host
    hypervisor: SimulatedHypervisor
    port: int = 0
    verifier: TokenVerifier = field(default_factory=a_verifier)

    def server(self) -> str:
        """An ACTIVE server of Alice's whose guest runs on the host."""
        server_id = self.world.active_server(host=HOST)
        spec = a_spec().model_copy(update={"server_id": UUID(server_id)})
        self.hypervisor.create(spec, Path("/image"))
        return server_id

    def url(self, server_id: str, protocol: str = "vnc", kind: str = "novnc") -> str:
        body = {"remote_console": {"protocol": protocol, "type": kind}}
        answer = self.world.at("2.6").post(f"/v2.1/servers/{server_id}/remote-consoles", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["remote_console"]["url"])

    def token(self, server_id: str, protocol: str = "vnc", kind: str = "novnc") -> str:
        return token_of(self.url(server_id, protocol, kind))

    def connect(self, query: str = "", **options: Any) -> ClientConnection:
        """A websocket before its first message."""
        options = {"logger": OWN_LOG} | options
        return connect(f"ws://127.0.0.1:{self.port}/console/socket{query}", proxy=None, open_timeout=60, **options)

    def revoke(self, **what: Any) -> None:
        """As identity would tell it."""
        now = utc_now()
        listed = uuid4().int >> 96
        self.verifier.revoke(Revocation(id=listed, issued_before=now, expires_at=now + timedelta(hours=1), **what))
        while self.world.clients:  # whoever asks next logs in anew
            self.world.clients.popitem()[1].close()


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).fragment)["token"][0]


@contextmanager
def consoles_of(world: World, mode: str, folder: Path, *, viewers: int = 16) -> Iterator[Consoles]:
    """`mode`: "embedded", all in one process; "distributed": the gateway goes over sockets, the agent over TLS."""
    hypervisor = SimulatedHypervisor(SimulatedOptions(host=HOST))
    door = ConsoleDoor(None if mode == "embedded" else "127.0.0.1:0")
    images = HostImages(ImageCache(folder / "images"), Gallery(), forget_token=lambda: None, max_bytes=0)
    host = Host(HOST, hypervisor, images, consoles=door)
    world.bus.serve(f"{HOST_QUEUE}.{HOST}", handlers.bound(host), threads=4)
    with world.kit.database.transaction() as session:  # so the API knows what its guests have
        Hosts(session).register(hypervisor.facts(), zone="nova", ratios=Ratios(), at=utc_now())
    verifier = a_verifier()
    origins = frozenset(("http://cloud.test", "https://dashboard.test"))
    kit = ConsoleKit(database=world.kit.database, bus=world.bus, verifier=verifier, origins=origins, viewers=viewers)
    with ExitStack() as stack:
        stack.callback(door.close)
        port = stack.enter_context(_gateway(console_app(kit), mode, limits()))
        yield Consoles(world, kit, host, hypervisor, port, verifier)


@contextmanager
def _gateway(app: ASGIApp, mode: str, settings: GatewaySettings) -> Iterator[int]:
    if mode == "embedded":
        with gateway_in_front_of({"console": app}, settings) as port:
            yield port
        return
    with served(app) as behind:
        proxy = Proxy("console", f"http://127.0.0.1:{behind}", settings)
        edge = Edge(settings, {"console": proxy}, Own(a_platform(), {"console": proxy}), (proxy.close,))
        with served(edge, bounded_by(settings)) as port:
            yield port
