"""Bodies of requests in large blocks, and copied as seldom as can be.

uvicorn adds each piece that comes to a bytearray, and copies that once more when it is taken; and it lets a client wait as
soon as 64 KiB are there.  For the bytes of images that is a good part of the work.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

LEAST_ROOM, MOST_ROOM = 64 << 10, 1 << 20


class Block:
    """Bytes of a body that nobody has taken yet: what uvicorn keeps in a bytearray."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __iadd__(self, piece: bytes) -> Block:
        self._pieces.append(piece)
        self._size += len(piece)
        return self

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class RoomyProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it.  A body gets more room each time that some of it is taken; one that waits gets little."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._room = LEAST_ROOM

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._room = LEAST_ROOM

    def on_body(self, body: bytes) -> None:
        if (self.parser.should_upgrade() and self._should_upgrade()) or self.cycle.response_complete:
            return
        if not self.cycle.body:
            self.cycle.body, self._room = Block(), min(self._room * 2, MOST_ROOM)  # type: ignore[assignment]
        self.cycle.body += body
        if len(self.cycle.body) > self._room:
            self.flow.pause_reading()
        self.cycle.message_event.set()
