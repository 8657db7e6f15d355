"""The websocket of a console: the token first, then its bytes, until somebody ends it.

The token is the only thing that counts: no cookie, no header.  It comes as the first message, or in the query for programs
that have it from an address of that form; the page uses the first, so that no request line ever holds it.

A screen by SPICE is a session of several connections.  The token opens the main one, which is told a key, as text before the
guest's bytes; the others begin with that key.  With it nobody begins a session, and it ends with its own.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.errors import Conflict, InvalidInput, NotFound, PlatformError, Unauthenticated, Unavailable
from services.compute.console.grants import Grant
from services.compute.console.kit import ConsoleKit
from services.compute.console.relay import NOT_GOOD, NOT_THERE, TRY_LATER, Ending, carry, connected
from services.compute.console.sessions import Session
from services.compute.core.consoles import ConsoleKind
from services.compute.core.spice import begins_session

log = logging.getLogger("console")

routes = APIRouter()

FIRST_MESSAGE_S = 10.0
LONGEST_TOKEN = 256
SUBPROTOCOL = "binary"  # what noVNC's kin ask for; it changes nothing


@routes.websocket("/socket")
async def open_console(socket: WebSocket) -> None:
    kit: ConsoleKit = socket.app.state.kit
    if not kit.welcomes(socket.headers.getlist("origin")):
        log.warning("console refused to a foreign page", extra={"origin": socket.headers["origin"][:256]})
        await socket.send_denial_response(Response(status_code=403))
        return
    with suppress(WebSocketDisconnect):
        if (token := socket.query_params.get("token")) is None:
            await _by_first_message(socket, kit)
        else:
            await _by_query(socket, kit, token)


async def _by_first_message(socket: WebSocket, kit: ConsoleKit) -> None:
    await _accept(socket)
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            word = await socket.receive_text()
            session = kit.sessions.of(word)
            grant = await _redeemed(kit, word) if session is None else session.grant
    except (TimeoutError, KeyError, Unauthenticated):  # KeyError: bytes instead of text
        await _end(socket, NOT_GOOD)
        return
    except Unavailable:
        await _end(socket, Ending(TRY_LATER, "The cloud cannot look at this address now"))
        return
    await _end(socket, await _shown(socket, kit, grant, session))


async def _by_query(socket: WebSocket, kit: ConsoleKit, token: str) -> None:
    try:
        grant = await _redeemed(kit, token)
    except Unauthenticated:
        await socket.send_denial_response(Response(status_code=403))
        return
    await _accept(socket)
    await _end(socket, await _shown(socket, kit, grant))


async def _redeemed(kit: ConsoleKit, token: str) -> Grant:
    """Unauthenticated, Unavailable"""
    if not 0 < len(token) <= LONGEST_TOKEN:
        raise Unauthenticated("That is no token")
    return await run_in_threadpool(kit.redeem, token)


async def _shown(socket: WebSocket, kit: ConsoleKit, grant: Grant, joins: Session | None = None) -> Ending:
    """The console, or one more connection of a session, from its beginning to its end."""
    facts = {"server_id": str(grant.server_id), "kind": str(grant.kind), "user_id": grant.caller.user_id}
    try:
        with kit.sessions.opened(grant) if joins is None else kit.sessions.joined(joins) as session:
            link = await _link(socket, begins=joins is None) if grant.kind is ConsoleKind.SPICE else b""
            at = await run_in_threadpool(kit.open, grant)
            async with connected(at) as (reader, writer):
                log.info("console opened", extra=facts)
                writer.write(link)
                await _begin(socket, session.key if link and joins is None else at.past)
                ending = await carry(socket, reader, writer, session)
    except Unauthenticated:
        ending = NOT_GOOD
    except (Conflict, NotFound) as error:
        ending = Ending(NOT_THERE, error.message)
    except Unavailable as error:
        ending = Ending(TRY_LATER, "The guest's host does not answer; ask for a new address in a moment")
        log.warning("console not opened", extra=facts | {"why": error.message})
    except PlatformError as error:
        ending = Ending(1011, "The console could not be opened")
        log.error("console not opened", extra=facts | {"why": error.message}, exc_info=error)
    log.info("console ended", extra=facts | {"why": ending.reason})
    return ending


async def _link(socket: WebSocket, *, begins: bool) -> bytes:
    """The first message of a SPICE connection.  Unauthenticated if it wants what its token or key is not good for"""
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            link = await socket.receive_bytes()
        if begins_session(link) is begins:
            return link
    except (TimeoutError, KeyError, InvalidInput) as error:
        raise Unauthenticated("That is no beginning of SPICE") from error
    raise Unauthenticated("A token begins a session, and a session's key another connection of it")


async def _begin(socket: WebSocket, past: str) -> None:
    """What was before, as text, and an empty message: from here on come the guest's bytes."""
    if past:
        await socket.send_text(past)
    await socket.send_bytes(b"")


async def _accept(socket: WebSocket) -> None:
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None)


async def _end(socket: WebSocket, ending: Ending) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the viewer has left meanwhile
        await socket.close(ending.code, ending.reason[:120])
