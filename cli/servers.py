"""Runs parts in this process: their background work, and one HTTP server for each application, until told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop

from common.errors import InvalidInput, PlatformError, Unavailable
from common.floods import Calm
from common.http.bodies import RoomyProtocol
from common.process import Part, Surroundings

log = logging.getLogger("process")
logging.getLogger("uvicorn.error").setLevel("WARNING")  # its stages are told in our own words
logging.getLogger("uvicorn.error").addFilter(Calm())  # a line for each request that is no HTTP

LINGER_S = 3
FINISH_S = 10  # requests under way may still end
LONGEST_MESSAGE = 1 << 20  # of a websocket
KEEP_ALIVE_S = 75  # longer than the gateway keeps an idle connection, so that it never writes into a closing one


class Server(uvicorn.Server):
    """One server among several: the process, not each of them, minds the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(parts: Sequence[Part], surroundings: Surroundings, *, ready: Callable[[], None] | None = None) -> None:
    """Run the parts until SIGTERM or SIGINT; `ready` is called on a thread of its own when all of them listen.

    They start in the order given and stop in reverse; what they hold is finished or handed back.
    """
    servers: list[tuple[Server, socket.socket]] = []
    started: list[Part] = []
    try:
        for part in parts:
            if part.app is not None and part.listen:
                servers.append((_server(part, surroundings), _socket(part)))
        for part in parts:
            part.start()
            started.append(part)
        uvloop.run(_serve(servers, ready))
    finally:
        for part in reversed(started):
            _stop(part)
        for _, door in servers:
            door.close()
        surroundings.bus.close()
        if surroundings.inside is not None:
            surroundings.inside.close()
        log.info("stopped")


def leave() -> None:
    """End the process even if a call still waits on some thread: whoever starts next goes on with what it was for."""
    last_word = threading.Timer(LINGER_S, os._exit, (0,))
    last_word.daemon = True
    last_word.start()


async def _serve(servers: Sequence[tuple[Server, socket.socket]], ready: Callable[[], None] | None) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    running = [asyncio.create_task(server.serve(sockets=[door])) for server, door in servers]
    await _all_listen(servers, running)
    gc.collect()
    gc.freeze()  # what is here now stays: to look through it again and again would hold up requests
    log.info("ready")
    if ready is not None:
        threading.Thread(target=ready, name="ready", daemon=True).start()
    ended = asyncio.create_task(over.wait())
    await asyncio.wait((ended, *running), return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    for server, _ in servers:
        server.should_exit = True
    await asyncio.gather(*running)


async def _all_listen(servers: Sequence[tuple[Server, socket.socket]], running: Sequence[asyncio.Task[None]]) -> None:
    while not all(server.started for server, _ in servers):
        for task in running:
            if task.done():
                raise Unavailable("A server ended while it was starting; the log says why")
        await asyncio.sleep(0.01)


def _server(part: Part, surroundings: Surroundings) -> Server:
    options: dict[str, object] = {"http": RoomyProtocol, "timeout_keep_alive": KEEP_ALIVE_S}
    if part.name == "gateway":
        from api_gateway.main import front

        how = front(surroundings)
        options = {
            "http": how.protocol,
            "timeout_keep_alive": how.keep_alive_s,
            "ssl_certfile": how.certificate,
            "ssl_keyfile": how.key,
        }
    assert part.app is not None
    return Server(
        uvicorn.Config(
            part.app,
            ws=websockets if part.takes_sockets else "none",  # type: ignore[arg-type]  # what makes a protocol will do
            ws_max_size=LONGEST_MESSAGE,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=FINISH_S,
            **options,  # type: ignore[arg-type]
        )
    )


def websockets(**how: Any) -> asyncio.Protocol:
    """The protocol of one websocket; imported with the first."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    return WebSocketsSansIOProtocol(**how)


def _socket(part: Part) -> socket.socket:
    return listening(part.listen or "", part.name)


def listening(listen: str, name: str) -> socket.socket:
    """A socket that listens there.  Unavailable if somebody else has the address."""
    host, port = address(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, port))
        door.listen(2048)
        door.set_inheritable(False)
    except OSError as error:
        door.close()
        raise Unavailable(f"Cannot listen on {listen} ({name}): {error.strerror}") from error
    return door


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT taken apart; [HOST]:PORT for IPv6.  InvalidInput"""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"'{listen}' is not an address to listen on; write HOST:PORT, for example 127.0.0.1:8470")
    return host, int(port)


def _stop(part: Part) -> None:
    try:
        part.stop()
    except PlatformError as error:
        log.warning("a part did not stop cleanly", extra={"part": part.name, "why": error.message})
    except Exception:
        log.exception("a part did not stop cleanly", extra={"part": part.name})
