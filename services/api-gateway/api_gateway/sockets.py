"""Websockets: how one is refused, and how one passes to a service in another process, message by message.

What it takes is imported with the first one: most processes of most clouds never see any.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from api_gateway import answers
from api_gateway.settings import GatewaySettings
from common.errors import PlatformError, Unavailable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

log = logging.getLogger("gateway")
logging.getLogger("websockets").setLevel("WARNING")  # below that it writes messages out, and the first one is a secret

LONGEST_MESSAGE = 1 << 20
NO_STATUS = 1005  # a close frame without a code; it may not be sent (RFC 6455, section 7.4.1)


async def refuse_socket(error: PlatformError, receive: Receive, send: Send) -> None:
    """The handshake's answer: the error's status, and its sentence."""
    await receive()  # websocket.connect
    response = answers.refusal(error, status=getattr(error, "wire_status", None))
    start = {"type": "websocket.http.response.start", "status": response.status_code, "headers": response.raw_headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})


async def pass_socket(base_url: str, settings: GatewaySettings, scope: Scope, receive: Receive, send: Send) -> None:
    """The same websocket at the service: its refusal, its messages and its end are the client's, and the other way round."""
    from websockets.exceptions import InvalidStatus, WebSocketException

    try:
        behind = await _connected(base_url, settings, scope)
    except InvalidStatus as error:
        await receive()
        await send({"type": "websocket.http.response.start", "status": error.response.status_code, "headers": []})
        await send({"type": "websocket.http.response.body", "body": bytes(error.response.body or b"")})
        return
    except (OSError, TimeoutError, WebSocketException) as error:
        log.warning("service does not answer", extra={"service": "console", "why": f"{type(error).__name__}: {error}"})
        await refuse_socket(Unavailable("The console service does not answer. Try again in a moment."), receive, send)
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": behind.subprotocol})
    await _carry(behind, receive, send)


async def _connected(base_url: str, settings: GatewaySettings, scope: Scope) -> ClientConnection:
    from websockets.asyncio.client import connect

    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    url = base_url.replace("http", "ws", 1).rstrip("/") + scope["raw_path"].decode("latin-1") + query
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name != b"host"}
    return await connect(
        url,
        additional_headers=named,
        subprotocols=scope.get("subprotocols") or None,
        compression=None,
        proxy=None,
        open_timeout=settings.connect_timeout_s,
        ping_interval=None,  # the client is asked whether it lives; what is behind belongs to us
        max_size=LONGEST_MESSAGE,
        user_agent_header=None,
    )


async def _carry(behind: ClientConnection, receive: Receive, send: Send) -> None:
    to_client = asyncio.create_task(_to_client(behind, send))
    to_service = asyncio.create_task(_to_service(behind, receive))
    try:
        await asyncio.wait((to_client, to_service), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (to_client, to_service):
            task.cancel()
        await asyncio.wait((to_client, to_service))
        await behind.close()
    if not to_service.cancelled() and to_service.result():
        return
    with suppress(Exception):  # the client may have left in the same moment
        code = behind.close_code or 1011
        await send(
            {"type": "websocket.close", "code": 1000 if code == NO_STATUS else code, "reason": behind.close_reason}
        )


async def _to_client(behind: ClientConnection, send: Send) -> None:
    from uvicorn.protocols.utils import ClientDisconnected
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed, ClientDisconnected):
        while True:
            message = await behind.recv()
            kind = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", kind: message})


async def _to_service(behind: ClientConnection, receive: Receive) -> bool:
    """True when the client has left, False when the service takes no more."""
    from websockets.exceptions import ConnectionClosed

    message: Message
    with suppress(ConnectionClosed):
        while (message := await receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            await behind.send(text if text is not None else message["bytes"])
        return True
    return False
