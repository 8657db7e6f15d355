"""HTTP between services that live in one process: the call goes straight into the other's ASGI application.

The applications run on an event loop of their own, apart from the one that serves the public address: a route that waits
for another service's answer then never holds a thread that this answer needs.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from common.errors import Unavailable

IN_FLIGHT = 8  # chunks of an answer that may wait for their reader


class Inside:
    """The services of this process, by host name: `http://image/v2/...` reaches the application known as "image"."""

    def __init__(self) -> None:
        self._apps: dict[str, ASGIApp] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="inside-http", daemon=True)
        self._thread.start()

    def add(self, name: str, app: ASGIApp) -> None:
        self._apps[name] = app

    def transport(self) -> httpx.BaseTransport:
        return _Transport(self._apps, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        if not self._loop.is_running():
            self._loop.close()


class _Transport(httpx.BaseTransport):
    def __init__(self, apps: dict[str, ASGIApp], loop: asyncio.AbstractEventLoop) -> None:
        self._apps, self._loop = apps, loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if threading.current_thread().name == "inside-http":
            raise RuntimeError("a call into this process must not wait on the loop that answers it")
        app = self._apps.get(request.url.host)
        if app is None:
            raise httpx.ConnectError(f"no service '{request.url.host}' in this process", request=request)
        exchange = _Exchange(self._loop, request)
        asyncio.run_coroutine_threadsafe(exchange.run(app), self._loop)
        try:
            start = exchange.next()
        except httpx.HTTPError:
            exchange.abandon()
            raise
        return httpx.Response(start["status"], headers=start["headers"], stream=_Body(exchange))


class _Exchange:
    """One request and its answer, between a thread that reads and the loop that writes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: httpx.Request) -> None:
        self._loop, self._request = loop, request
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._answered: queue.Queue[Message | BaseException] = queue.Queue()
        self._gone = asyncio.Event()
        timeouts = request.extensions.get("timeout") or {}
        self._patience_s: float | None = timeouts.get("read")

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope(), self._receiver(), self._send)
        except BaseException as error:  # the reader must hear of it, whatever it is
            self._answered.put(error)
        else:
            self._answered.put(RuntimeError("the application ended without an answer"))

    def next(self) -> Message:
        """The next part of the answer."""
        try:
            found = self._answered.get(timeout=self._patience_s)
        except queue.Empty as error:
            raise httpx.ReadTimeout("no answer in time", request=self._request) from error
        if isinstance(found, BaseException):
            raise httpx.RemoteProtocolError(f"the service failed: {found}", request=self._request) from found
        self._loop.call_soon_threadsafe(self._room.release)
        return found

    def abandon(self) -> None:
        """The reader wants no more: let the writer run out."""
        self._loop.call_soon_threadsafe(self._gone.set)
        self._loop.call_soon_threadsafe(self._release_writer)

    def _release_writer(self) -> None:
        for _ in range(IN_FLIGHT):
            self._room.release()

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            return
        await self._room.acquire()
        self._answered.put(message)

    def _receiver(self) -> Callable[[], Any]:
        stream = self._request.stream
        is_at_hand = isinstance(stream, httpx.ByteStream)  # then no thread need wait for it
        chunks, ended = iter(stream), False  # type: ignore[arg-type]

        async def receive() -> Message:
            nonlocal ended
            if ended:
                await self._gone.wait()
                return {"type": "http.disconnect"}
            chunk = next(chunks, None) if is_at_hand else await asyncio.to_thread(next, chunks, None)
            ended = is_at_hand or chunk is None
            return {"type": "http.request", "body": chunk or b"", "more_body": not ended}

        return receive

    def _scope(self) -> dict[str, Any]:
        url = self._request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "server": (url.host, url.port or 80),
            "client": ("127.0.0.1", 0),
        }


class _Body(httpx.SyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange, self._ended = exchange, False

    def __iter__(self) -> Iterator[bytes]:
        while not self._ended:
            message = self._exchange.next()
            if message["type"] != "http.response.body":
                continue
            self._ended = not message.get("more_body", False)
            if body := message.get("body", b""):
                yield body

    def close(self) -> None:
        if not self._ended:
            self._exchange.abandon()


def reached(error: httpx.HTTPError) -> Unavailable:
    """What a failed call means to the rest of the platform."""
    return Unavailable(f"{error.request.url.host} does not answer", cause=str(error)[:200])
