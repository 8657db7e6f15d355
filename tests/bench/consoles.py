"""A console's bytes from a source behind the guest's socket to a client of the gateway: by way of agent and relay."""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

from services.compute.core.consoles import ConsoleKind
from tests.bench.report import Figure, above
from tests.harness.consoles import Consoles, consoles_of
from tests.unit.compute.api.world import a_world

CHUNK = bytes(1 << 18)
SECONDS = 4.0
MODES = {"embedded": "in one process", "distributed": "over sockets and TLS, all parts sharing one process"}


def measure() -> list[Figure]:
    return [above(f"console bytes through the gateway, {how}", rate(mode), 50, "MB/s") for mode, how in MODES.items()]


def rate(mode: str) -> float:
    """Megabytes a second that a client gets which only counts them."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(mode, there))
    process.start()
    try:
        port, token = here.recv()
        with socket.create_connection(("127.0.0.1", port)) as browser:
            open_console(browser, token)
            return counted(browser)
    finally:
        here.send("over")
        process.join(timeout=30)


def open_console(browser: socket.socket, token: str) -> None:
    """The handshake, and the token as the first message, masked with zeros (RFC 6455, sections 4.1 and 5.3)."""
    browser.sendall(
        b"GET /console/socket HTTP/1.1\r\nhost: cloud.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert browser.recv(4096).startswith(b"HTTP/1.1 101 ")
    browser.sendall(bytes((0x81, 0x80 | len(token), 0, 0, 0, 0)) + token.encode())


def counted(browser: socket.socket) -> float:
    room, count = bytearray(1 << 20), 0
    browser.recv_into(room)
    began = time.perf_counter()
    while (taken := time.perf_counter() - began) < SECONDS:
        count += browser.recv_into(room)
    return count / taken / 1e6


def serve(mode: str, there: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder, a_world(f"sqlite:///{folder}/compute.sqlite") as world:
        world.flavor()
        with consoles_of(world, mode, Path(folder)) as consoles:
            server_id = consoles.server()
            _pour(consoles)
            there.send((consoles.port, consoles.token(server_id)))
            there.recv()
            os._exit(0)  # the source never ends by itself


def _pour(consoles: Consoles) -> None:
    """Let the guest's screen send as fast as it is taken."""

    def screen(_: UUID, kind: ConsoleKind) -> int:
        near, far = socket.socketpair()
        threading.Thread(target=_pour_into, args=(far,), daemon=True).start()
        return near.detach()

    type(consoles.hypervisor).open_console = lambda _, server, kind: screen(server, kind)  # type: ignore


def _pour_into(wire: socket.socket) -> None:
    with suppress(OSError):
        while True:
            wire.sendall(CHUNK)
