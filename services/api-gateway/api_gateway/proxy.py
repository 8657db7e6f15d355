"""Hands requests to a service in another process, byte by byte: nothing is held but one chunk each way.

The pool of httpx's transport is used without its client: a client would keep cookies of one user for the next, follow
redirects and add headers of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
from starlette.types import Message, Receive, Scope, Send

from api_gateway.headers import Pairs, end_to_end, has_body
from api_gateway.settings import GatewaySettings
from api_gateway.sockets import pass_socket
from common.errors import InvalidInput, PlatformError, Unavailable

log = logging.getLogger("gateway")

IDLE_CONNECTION_S = 30.0  # less than the services keep one open (75 s), so that none closes as a request sets out
SAFE_TO_REPEAT = frozenset(("GET", "HEAD", "OPTIONS"))
_NEVER_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_SAID_HERE = frozenset((b"date", b"server"))  # the gateway's own server adds them


class Cut(Exception):
    """The service died, or fell silent, in the middle of its answer: the client must not take what it has for all."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ClientGone(Exception):
    """Whoever asked has left."""


class Proxy:
    """One service at `base_url`, as an ASGI application."""

    def __init__(self, service: str, base_url: str, settings: GatewaySettings) -> None:
        self._service, self._base = service, httpx.URL(base_url)
        self._settings = settings
        self._pool: httpx.AsyncHTTPTransport | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await pass_socket(str(self._base), self._settings, scope, receive, send)
            return
        incoming = _Incoming(receive, has_body=has_body(scope["headers"]))
        exchange = asyncio.create_task(self._exchange(scope, incoming, send))
        watch = asyncio.create_task(incoming.gone())
        try:
            await asyncio.wait((exchange, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (exchange, watch):
                if not task.done():
                    task.cancel()
            await asyncio.wait((exchange, watch))
        if not exchange.cancelled():
            with suppress(ClientGone):
                exchange.result()

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def _exchange(self, scope: Scope, incoming: _Incoming, send: Send) -> None:
        answer = await self._ask(scope, incoming)
        try:
            headers = [pair for pair in end_to_end(answer.headers.raw) if pair[0].lower() not in _OF_THE_HOP]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            await self._relay(answer, send)
        finally:
            await answer.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _relay(self, answer: httpx.Response, send: Send) -> None:
        try:
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.HTTPError as error:
            raise Cut(f"{self._service} stopped answering: {type(error).__name__}") from error

    async def _ask(self, scope: Scope, incoming: _Incoming) -> httpx.Response:
        """The beginning of the answer.  Unavailable, and then nobody has seen a byte of it."""
        try:
            return await self._send(scope, incoming)
        except _NEVER_REACHED as error:
            raise self._away(error, "Try again in a moment") from error
        except httpx.LocalProtocolError as error:
            raise InvalidInput("The request is malformed") from error
        except httpx.HTTPError as error:
            repeatable = scope["method"] in SAFE_TO_REPEAT and not incoming.has_body
            if not repeatable or isinstance(error, httpx.TimeoutException):
                raise self._away(error, "It is not known whether the request was carried out") from error
        try:  # a connection that was kept, and died with the service's former process
            return await self._send(scope, incoming)
        except httpx.HTTPError as error:
            raise self._away(error, "Try again in a moment") from error

    async def _send(self, scope: Scope, incoming: _Incoming) -> httpx.Response:
        request = httpx.Request(
            scope["method"],
            self._base.copy_with(raw_path=_target(self._base, scope)),
            headers=self._headers(scope, incoming),
            stream=incoming,
            extensions={"timeout": self._timeouts()},
        )
        answer = await self._transport().handle_async_request(request)
        answer.request = request
        return answer

    def _headers(self, scope: Scope, incoming: _Incoming) -> Pairs:
        kept: Pairs = [pair for pair in scope["headers"] if pair[0] not in _OF_ARRIVAL]
        kept.append((b"host", self._base.netloc))
        if incoming.has_body and not any(name == b"content-length" for name, _ in kept):
            kept.append((b"transfer-encoding", b"chunked"))
        return kept

    def _timeouts(self) -> dict[str, float]:
        silent = self._settings.answer_timeout_s
        return {"connect": self._settings.connect_timeout_s, "read": silent, "write": silent, "pool": 10.0}

    def _transport(self) -> httpx.AsyncHTTPTransport:
        if self._pool is None:  # made on the loop that it serves
            limits = httpx.Limits(
                max_connections=self._settings.connections,
                max_keepalive_connections=self._settings.connections,
                keepalive_expiry=IDLE_CONNECTION_S,
            )
            self._pool = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        return self._pool

    def _away(self, error: httpx.HTTPError, advice: str) -> PlatformError:
        log.warning(
            "service does not answer", extra={"service": self._service, "why": f"{type(error).__name__}: {error}"}
        )
        return Unavailable(f"The {self._service} service does not answer. {advice}.")


_OF_THE_HOP = _SAID_HERE | {b"transfer-encoding"}
_OF_ARRIVAL = frozenset((b"host", b"transfer-encoding", b"expect"))


class _Incoming(httpx.AsyncByteStream):
    """A request's body on its way to the service, and after it the news that the client left."""

    def __init__(self, receive: Receive, *, has_body: bool) -> None:
        self._receive, self.has_body = receive, has_body
        self._ended = asyncio.Event()
        if not has_body:
            self._ended.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._ended.is_set():
            message = await self._next()
            if not message.get("more_body", False):
                self._ended.set()
            if body := message.get("body", b""):
                yield body

    async def gone(self) -> None:
        """Returns when the client has left."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message


def _target(base: httpx.URL, scope: Scope) -> bytes:
    query: bytes = scope["query_string"]
    path: bytes = base.raw_path.rstrip(b"/") + scope["raw_path"]
    return path + b"?" + query if query else path
