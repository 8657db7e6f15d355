"""Real servers for the gateway's tests: applications on a port of their own, and raw HTTP to talk to them."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from api_gateway.edge import Edge
from api_gateway.own import Own
from api_gateway.protocol import bounded_by
from api_gateway.proxy import Proxy
from api_gateway.settings import GatewaySettings
from cli.servers import websockets
from tests.conftest import a_platform
from tests.harness.waiting import until

CHUNK = b"0123456789abcdef" * 4096  # 64 KiB


class Upstream:
    """A service to pass requests to.  It tells what it saw, and does what the path says."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As if it had seen nothing yet."""
        self.sent_bytes = 0
        self.received_bytes = 0
        self.may_read = threading.Event()
        self.client_left = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        match scope["path"]:
            case "/sink" | "/v2/images/1/file":
                await self._sink(receive, send)
            case "/v2/images/2/file":
                await self._stalling_sink(receive, send)
            case "/source":
                await self._source(scope, send)
            case "/endless":
                await self._endless(receive, send)
            case "/half":
                await self._half(send)
            case "/readyz":
                await _answer(
                    send,
                    503,
                    {"failing": {"database": "The database does not answer"}, "remarks": {"policy": "left out"}},
                )
            case _:
                await _answer(
                    send, 200, _seen(scope), extra=[(b"x-twice", b"1"), (b"x-twice", b"2"), (b"keep-alive", b"x")]
                )

    async def _sink(self, receive: Receive, send: Send) -> None:
        digest, count = hashlib.sha256(), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.client_left.set()
                return
            digest.update(message.get("body", b""))
            count += len(message.get("body", b""))
            self.received_bytes = count
            if not message.get("more_body", False):
                break
        await _answer(send, 201, {"bytes": count, "sha256": digest.hexdigest()})

    async def _stalling_sink(self, receive: Receive, send: Send) -> None:
        import asyncio

        await receive()
        while not self.may_read.is_set():
            await asyncio.sleep(0.01)
        await self._sink(receive, send)

    async def _source(self, scope: Scope, send: Send) -> None:
        asked = parse_qs(scope["query_string"].decode())
        chunks = int(asked["chunks"][0])
        headers = [(b"content-length", str(chunks * len(CHUNK)).encode())] if "sized" in asked else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(chunks):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            self.sent_bytes += len(CHUNK)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _endless(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.client_left.set()

    async def _half(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("the service died here")


def _seen(scope: Scope) -> dict[str, object]:
    return {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
    }


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int, content: object, extra: list[tuple[bytes, bytes]] | None = None) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def served(app: ASGIApp, http: object = "httptools") -> Iterator[int]:
    """The application on a port of its own, for the block."""
    door = socket.create_server(("127.0.0.1", 0))
    server = _Server(
        uvicorn.Config(
            app,
            http=http,  # type: ignore[arg-type]
            ws=websockets,  # type: ignore[arg-type]
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=1,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[door])), daemon=True)
    thread.start()
    until(lambda: server.started, what="the server listens")
    try:
        yield int(door.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        door.close()


@dataclass
class Gateway:
    """A gateway that listens, and what is behind it."""

    port: int
    upstream: Upstream = field(default_factory=Upstream)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def raw(self, request: bytes, *, timeout_s: float = 60) -> bytes:
        """Everything that comes back until the connection is closed, or nothing more for a while after an answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(request)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """What the other side sends until it closes, or until it resets the connection."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def limits(**changes: object) -> GatewaySettings:
    return GatewaySettings.model_validate(changes)


@contextmanager
def gateway_in_front_of(apps: Mapping[str, ASGIApp], settings: GatewaySettings) -> Iterator[int]:
    """A gateway before applications of its own process."""
    edge = Edge(settings, apps, Own(a_platform(), apps))
    with served(edge, bounded_by(settings)) as port:
        yield port


@contextmanager
def a_gateway(mode: str, settings: GatewaySettings | None = None) -> Iterator[Gateway]:
    """A gateway before one `Upstream`, known as identity, image and compute: "embedded", or "distributed" through sockets."""
    settings, upstream = settings or limits(), Upstream()
    names = ("identity", "image", "compute")
    if mode == "embedded":
        with gateway_in_front_of(dict.fromkeys(names, upstream), settings) as port:
            yield Gateway(port, upstream)
        return
    with served(upstream) as behind:
        proxies = {name: Proxy(name, f"http://127.0.0.1:{behind}", settings) for name in names}
        edge = Edge(settings, proxies, Own(a_platform(), proxies), tuple(one.close for one in proxies.values()))
        with served(edge, bounded_by(settings)) as port:
            yield Gateway(port, upstream)
