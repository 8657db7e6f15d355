"""Sending to the broker: a few connections shared by all threads, every message confirmed."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import amqp.exceptions
from kombu import Connection, Exchange, Producer
from kombu.exceptions import KombuError

from common.bus.amqp_wire import LARGEST_MESSAGE, SIGNATURE, sealed, sign
from common.errors import InvalidInput, Unavailable

log = logging.getLogger(__name__)

CONNECTIONS = 4
CONFIRM_S = 5.0
LONGEST_OUTBOX = 5_000

TROUBLE: tuple[type[BaseException], ...] = (OSError, amqp.exceptions.AMQPError, KombuError)


def connect(url: str, *, heartbeat_s: float = 0, name: str = "") -> Connection:
    """A connection, not yet open."""
    options = {"confirm_publish": True, "client_properties": {"connection_name": name}}
    options |= {"read_timeout": CONFIRM_S, "write_timeout": CONFIRM_S} if not heartbeat_s else {}
    return Connection(url, connect_timeout=3, heartbeat=heartbeat_s, transport_options=options)


class _Sender:
    """One connection with its producer; used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url, name="pileus publisher")
        self._connection.ensure_connection(max_retries=1, interval_start=0, timeout=3)
        self._returned: list[Any] = []
        channel = self._connection.channel()
        channel.events["basic_return"].add(lambda *about: self._returned.append(about))
        self._producer = Producer(channel)

    def send(
        self, body: bytes, headers: dict[str, Any], *, exchange: Exchange | None, key: str, must_arrive: bool
    ) -> bool:
        """False if no queue took it although one must."""
        self._returned.clear()
        self._producer.publish(
            body,
            exchange=exchange or "",
            routing_key=key,
            headers=headers,
            content_type="application/octet-stream",
            content_encoding="binary",
            delivery_mode=2,
            mandatory=must_arrive,
            confirm_timeout=CONFIRM_S,
        )
        return not self._returned

    def close(self) -> None:
        with suppress(*TROUBLE):  # it was gone already
            self._connection.release()


class Publisher:
    """Sends sealed and signed messages.  Thread-safe; a broken connection is replaced on the next use."""

    def __init__(self, url: str, key: bytes) -> None:
        self._url, self._key = url, key
        self._idle: queue.LifoQueue[_Sender | None] = queue.LifoQueue()
        for _ in range(CONNECTIONS):
            self._idle.put(None)

    def publish(
        self,
        body: bytes,
        *,
        exchange: Exchange | None,
        key: str,
        must_arrive: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Returns when the broker has it, which may be twice.  Unavailable; `must_arrive`: also if no queue is there."""
        if len(body) > LARGEST_MESSAGE:
            raise InvalidInput("The message is too large for the bus", size=len(body))
        closed = sealed(body, self._key)
        signed = (headers or {}) | {SIGNATURE: sign(closed, self._key)}
        try:
            arrived = self._send(closed, signed, exchange, key, must_arrive)
        except Unavailable:  # perhaps only this connection broke, when the broker restarted: a new one tells
            arrived = self._send(closed, signed, exchange, key, must_arrive)
        if not arrived:
            raise Unavailable(f"Nobody serves {key}")

    def close(self) -> None:
        for _ in range(CONNECTIONS):
            if (sender := self._idle.get()) is not None:
                sender.close()

    def _send(self, body: bytes, headers: dict[str, Any], exchange: Exchange | None, key: str, must: bool) -> bool:
        with self._sender() as sender:
            return sender.send(body, headers, exchange=exchange, key=key, must_arrive=must)

    @contextmanager
    def _sender(self) -> Iterator[_Sender]:
        sender = self._idle.get()
        kept: _Sender | None = None
        try:
            sender = sender or _Sender(self._url)
            yield sender
            kept = sender
        except TROUBLE as error:
            raise Unavailable("The message broker does not answer", cause=str(error)[:200]) from error
        finally:
            if kept is None and sender is not None:
                sender.close()
            self._idle.put(kept)  # last in, first out: after a failure the next use connects anew


class Outbox:
    """Hints and events leave from here, so that no caller waits for the broker; what it does not take is lost."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(LONGEST_OUTBOX)
        self._thread = threading.Thread(target=self._run, name="bus-outbox", daemon=True)
        self._thread.start()

    def put(self, send: Callable[[], None]) -> None:
        try:
            self._waiting.put_nowait(send)
        except queue.Full:
            log.warning("outbox is full, a hint was dropped")

    def close(self) -> None:
        """Send what waits, for some seconds; what a broker that is away has not taken by then is lost."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=5)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (send := self._waiting.get()) is not None:
            try:
                send()
            except Unavailable as error:
                log.info("hint not sent", extra={"why": error.message})
            except Exception:
                log.exception("hint not sent")
