"""HTTP/1.1 at the public address: uvicorn's parser with limits that hold before a request reaches any application.

Without them a client could send headers without end, or hold a connection for ever by sending or taking a byte a minute.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from api_gateway.answers import raw_refusal
from api_gateway.settings import GatewaySettings
from common.http.bodies import RoomyProtocol


class Refused(Exception):
    """The parser stops here; `status` is what the client is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class BoundedProtocol(RoomyProtocol):
    """One connection.  `bounded_by` makes a class of it that knows its limits."""

    limits: GatewaySettings

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._refused: Refused | None = None
        self._in_headers = False
        self._head_bytes = 0
        self._events = self._silent_bytes = 0  # the parser keeps what it cannot tell us of yet
        self._begun_at = self._moved_at = self.loop.time()
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._in_headers = True  # a connection that never asks anything is let go as well
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved_at, before = self.loop.time(), self._events
        super().data_received(data)
        self._silent_bytes = self._silent_bytes + len(data) if self._events == before else 0
        if self._silent_bytes > self.limits.header_bytes + self.limits.url_bytes and not self.transport.is_closing():
            self._refuse(431, "The request's headers are too many or too long")
            self.send_400_response("")

    def resume_writing(self) -> None:
        self._moved_at = self.loop.time()
        super().resume_writing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._events += 1
        self._in_headers, self._head_bytes, self._begun_at = True, 0, self.loop.time()

    def on_url(self, url: bytes) -> None:
        self._events += 1
        super().on_url(url)
        if len(self.url) > self.limits.url_bytes:
            raise self._refuse(414, "The URL is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._events += 1
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self.limits.header_bytes or len(self.headers) >= self.limits.header_count:
            raise self._refuse(431, "The request's headers are too many or too long")
        if self._in_headers:  # a trailer ends here: nobody may mistake it for a header
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._events += 1
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on it is no HTTP, and its limits are the websocket's: message size, and answers to pings."""
        if self._watch is not None:
            self._watch.cancel()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        refused = self._refused or Refused(400, "The request is not valid HTTP")
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(raw_refusal(refused.status, refused.message))
        self.transport.close()  # with an answer under way, nothing may be added to it

    def _refuse(self, status: int, message: str) -> Refused:
        self._refused = Refused(status, message)
        return self._refused

    def _look_again(self) -> None:
        """Let the client go if it has kept us waiting; otherwise look again when it could have."""
        now, waited_for = self.loop.time(), self._waited_for()
        if waited_for is not None and now >= waited_for:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(
            max(0.05, min(self.limits.header_timeout_s, self.limits.idle_timeout_s) / 4), self._look_again
        )

    def _waited_for(self) -> float | None:
        """Until when the client may take its time; None while it is our turn."""
        idle_at = self._moved_at + self.limits.idle_timeout_s
        if self._in_headers:
            return self._begun_at + self.limits.header_timeout_s
        if self.flow.write_paused:
            return idle_at
        if self.cycle is not None and self.cycle.more_body and not self.flow.read_paused:
            return None if self.cycle.response_complete else idle_at
        return None


def bounded_by(settings: GatewaySettings) -> type[BoundedProtocol]:
    """The protocol class with these limits, as uvicorn's `http` option takes it."""
    return type("GatewayProtocol", (BoundedProtocol,), {"limits": settings})
