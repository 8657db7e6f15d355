"""Carries bytes between a browser's websocket and a guest's console on its host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket, WebSocketDisconnect

from common.errors import Unavailable
from services.compute.console.sessions import Session
from services.compute.contract import ConsoleAt

if TYPE_CHECKING:
    import ssl

CHUNK = 1 << 18
CONNECT_S = 5.0
UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a console ended, as the websocket tells it (RFC 6455, section 7.4; 4000 and on are ours)."""

    code: int
    reason: str


BY_GUEST = Ending(1000, "The guest's side has ended: it is off, or its serial line was opened elsewhere")
BY_VIEWER = Ending(1000, "")
NOT_GOOD = Ending(4401, "This address is not good any more: it opens a console once, and soon after it was given out")
WITHDRAWN = 4403
NOT_THERE = 4409
TRY_LATER = 1013


@asynccontextmanager
async def connected(at: ConsoleAt) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The console's bytes.  Unavailable"""
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await _streams(at)
            writer.write(at.key.encode())
            await writer.drain()
    except (OSError, TimeoutError) as error:
        raise Unavailable("The guest's host does not hand out its console", address=at.address) from error
    try:
        yield reader, writer
    finally:
        writer.close()


async def carry(
    socket: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session
) -> Ending:
    """Both ways, until the viewer, the guest or the session ends; which of them it was."""
    to_viewer = asyncio.create_task(_to_viewer(socket, reader))
    to_guest = asyncio.create_task(_to_guest(socket, writer))
    try:
        await asyncio.wait((to_viewer, to_guest, session.over), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (to_viewer, to_guest):
            task.cancel()
        await asyncio.wait((to_viewer, to_guest))
    if session.over.done():
        return Ending(WITHDRAWN, session.over.result())
    return BY_VIEWER if not to_guest.cancelled() and to_guest.result() else BY_GUEST


async def _to_viewer(socket: WebSocket, reader: asyncio.StreamReader) -> None:
    with suppress(OSError, WebSocketDisconnect, RuntimeError):
        while chunk := await reader.read(CHUNK):
            await socket.send({"type": "websocket.send", "bytes": chunk})


async def _to_guest(socket: WebSocket, writer: asyncio.StreamWriter) -> bool:
    """True when the viewer has left, False when the guest takes no more."""
    with suppress(OSError):
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            writer.write(message.get("bytes") or (message.get("text") or "").encode())
            await writer.drain()
        return True
    return False


async def _streams(at: ConsoleAt) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if at.address.startswith(UNIX):
        return await asyncio.open_unix_connection(at.address.removeprefix(UNIX), limit=CHUNK)
    host, _, port = at.address.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port), limit=CHUNK, ssl=_trusting(at.certificate))


def _trusting(certificate: str | None) -> ssl.SSLContext | None:
    """Trusts this one certificate: whoever shows it is the host that told us of it on the bus, whatever its address."""
    if certificate is None:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(cadata=certificate)
    return context
