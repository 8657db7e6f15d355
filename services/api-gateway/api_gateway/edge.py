"""The door to the whole cloud: looks at each request once, then hands its bytes to the service they are for."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from prometheus_client import Counter, Gauge
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_gateway import answers
from api_gateway.headers import Pairs, from_client, from_gateway, has_body, host_of, without_handshake
from api_gateway.proxy import Cut
from api_gateway.services import WITH_SOCKETS, Target, brings_an_image, target_of
from api_gateway.settings import GatewaySettings
from api_gateway.sockets import refuse_socket
from common.errors import InvalidInput, NotFound, PlatformError, TooLarge, Unavailable
from common.floods import Flood

log = logging.getLogger("gateway")

REQUESTS = Counter("pileus_gateway_requests_total", "Requests by the service they were for", ("service", "status"))
UNDER_WAY = Gauge("pileus_gateway_requests_under_way", "Requests that are being answered")
SOCKETS = Gauge("pileus_gateway_websockets", "Websockets that are open")

OF_OPERATORS = frozenset(("/healthz", "/readyz", "/metrics"))  # asked of each process itself, not through here
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
LONGEST_SHOWN = 256
TOKEN_IN_PATH = re.compile(r"(os-console-auth-tokens/)[^/]+")  # the one secret that a path may hold
LINGER_S = 2.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A request on its way in: where it goes and what it may say of itself."""

    service: str
    scope: Scope
    is_counted_there: bool  # the service bounds the body by itself


class Edge:
    """The gateway's application.  `inner` holds the services of this cloud, by name; `own` answers what is nobody's."""

    def __init__(
        self,
        settings: GatewaySettings,
        inner: Mapping[str, ASGIApp],
        own: ASGIApp,
        closing: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._settings, self._inner, self._own, self._closing = settings, inner, own, closing
        self._under_way = self._sockets = 0
        self._refusals = Flood()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
            return
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        answer = _Answer(send)
        try:
            async with self._turn():
                await self._admit(scope, receive, answer)
        except Cut as cut:
            log.warning("answer cut short", extra=_facts(scope) | {"why": cut.reason})
        except PlatformError as error:
            await self._refuse(error, scope, receive, answer)
        REQUESTS.labels(answer.service, answer.status).inc()

    async def _admit(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if scope["path"] in ("/", "/healthz", "/readyz") or (scope["path"] == "/metrics" and is_local(scope)):
            await self._own(scope, receive, answer.send)
            return
        passage = self._passage(scope)
        answer.service = passage.service
        bounded = receive if passage.is_counted_there else self._bounded(scope, receive)
        await self._inner[passage.service](passage.scope, bounded, answer.send)

    def _passage(self, scope: Scope) -> Passage:
        """The request as its service will see it.  NotFound, InvalidInput, TooLarge"""
        if scope["method"] not in METHODS:
            raise _MethodUnknown(f"Method {scope['method'][:32]} is not for services")
        target, changed = self._changed(scope)
        if changed["path"] in OF_OPERATORS:
            raise NotFound("Nothing is here")
        return Passage(target.service, {**scope, **changed}, brings_an_image(target, scope["method"]))

    def _changed(self, scope: Scope) -> tuple[Target, Scope]:
        """Which service it is for, and what of the scope is different there.  NotFound, InvalidInput, TooLarge"""
        raw_path: bytes = scope["raw_path"]
        if len(raw_path) + len(scope["query_string"]) > self._settings.url_bytes:
            raise _UrlTooLong("The URL is too long")
        target = target_of(raw_path)
        if target.service not in self._inner:
            raise NotFound(f"This cloud has no {target.service} service")
        host = host_of(scope["headers"], scope["http_version"])
        headers: Pairs = from_client(scope["headers"]) + from_gateway(
            prefix=target.service, host=host, scheme=scope["scheme"], client=(scope["client"] or ("unknown",))[0]
        )
        path = scope["path"][1 + len(target.service) :] or "/"
        return target, {"path": path, "raw_path": target.raw_path, "root_path": "", "headers": headers, "state": {}}

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A websocket, handed to its service; the refusals are answers to its handshake."""
        try:
            if self._sockets >= self._settings.most_sockets:
                raise Unavailable("The cloud is busy: too many consoles at once; try again in a moment")
            target, changed = self._changed(scope)
            if target.service not in WITH_SOCKETS:
                raise NotFound(f"The {target.service} service takes no websockets")
        except PlatformError as error:
            await refuse_socket(error, receive, send)
            return
        changed["headers"] = without_handshake(changed["headers"])
        self._sockets += 1
        SOCKETS.set(self._sockets)
        try:
            await self._inner[target.service]({**scope, **changed}, receive, send)
        finally:
            self._sockets -= 1
            SOCKETS.set(self._sockets)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that raises TooLarge once more than the limit came, or is announced."""
        most, taken = self._settings.body_bytes, 0
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(announced) > most:
            raise TooLarge("Request is too large.")

        async def count() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise TooLarge("Request is too large.")
            return message

        return count

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._under_way >= self._settings.most_requests:
            raise Unavailable("The cloud is busy: too many requests at once; try again in a moment")
        self._under_way += 1
        UNDER_WAY.set(self._under_way)
        try:
            yield
        finally:
            self._under_way -= 1
            UNDER_WAY.set(self._under_way)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server's own messages are acknowledged."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                for close in self._closing:
                    await close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _refuse(self, error: PlatformError, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if self._refusals.passes():
            told = {"why": error.message, "status": error.status, **self._refusals.facts()}
            log.info("refused", extra=_facts(scope) | told)
        if answer.status:  # too late for words: leaving the answer unfinished cuts the connection
            return
        response = answers.refusal(error, status=getattr(error, "wire_status", None))
        unread = has_body(scope["headers"])
        if unread:
            response.headers["connection"] = "close"
        start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        body = b"" if scope["method"] == "HEAD" else bytes(response.body)
        await answer.send(start)
        await answer.send({"type": "http.response.body", "body": body, "more_body": unread})
        if unread:
            await _drain(receive)
            await answer.send({"type": "http.response.body", "body": b"", "more_body": False})


class _UrlTooLong(TooLarge):
    wire_status = 414


class _MethodUnknown(InvalidInput):
    wire_status = 405


class _Answer:
    """`send`, and what became of the answer."""

    def __init__(self, send: Send) -> None:
        self._send, self.status, self.service = send, 0, "gateway"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


async def _drain(receive: Receive) -> None:
    """Let a client that is still sending read its answer: closing at once would reset the connection under it."""
    until = time.monotonic() + LINGER_S
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while time.monotonic() < until:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def is_local(scope: Scope) -> bool:
    """Whether the request comes from this machine: metrics are its operator's."""
    host = (scope["client"] or ("",))[0]
    return host == "::1" or host.startswith("127.")


def _facts(scope: Scope) -> dict[str, str]:
    path = TOKEN_IN_PATH.sub(r"\1***", scope["path"][:LONGEST_SHOWN])
    return {"method": scope["method"][:32], "path": path, "client": str(scope["client"])}
