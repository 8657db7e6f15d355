"""Ports for servers that are about to start."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from random import SystemRandom

RANGE = range(15_000, 32_000)
"""Below those that the system gives to connections: none of these can take a port away before its server has it."""


def free_ports(count: int) -> list[int]:
    """So many on loopback, each of which nothing listens on now."""
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = SystemRandom().choice(RANGE)
            try:
                held.enter_context(closing(socket.create_server(("127.0.0.1", port))))
            except OSError:
                continue
            found.append(port)
        return found
