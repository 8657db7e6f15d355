"""Taking from the broker: a thread with a connection of its own that comes back after every loss."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import amqp.exceptions
from kombu import Connection, Consumer, Queue
from kombu.message import Message as Delivery

from common.bus.amqp_publish import TROUBLE, connect
from common.clock import utc_now
from common.errors import PlatformError

log = logging.getLogger(__name__)

HEARTBEAT_S = 10
IDLE_S, BUSY_S = 1.0, 0.02  # how long to wait for the next delivery, without and with acknowledgements to come
LONGEST_PAUSE_S = 5.0
FINISH_S = 5.0  # for what is under way when the process is told to stop; the broker delivers the rest again

Take = Callable[[Delivery], None]
"""Deals with one delivery on the pool; when it returns the message is acknowledged, when it raises it is parked."""


class Intake:
    """Consumes some queues until closed."""

    def __init__(
        self,
        url: str,
        queues: Sequence[Queue],
        take: Take,
        *,
        name: str,
        threads: int,
        parking: Queue | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """`parking` is declared along with the queues; `lost` is told each time that the connection breaks."""
        self._url, self._queues, self._take, self._name = url, queues, take, name
        self._parking, self._lost = parking, lost
        self._prefetch = threads * 4
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"bus:{name}")
        self._settled: queue.SimpleQueue[tuple[Delivery, bool]] = queue.SimpleQueue()
        self._outstanding = 0
        self._over = threading.Event()
        self.is_listening = threading.Event()
        self.deaf_since: datetime | None = utc_now()
        self._thread = threading.Thread(target=self._run, name=f"bus-intake:{name}", daemon=True)
        self._thread.start()

    def take_no_more(self) -> None:
        """Returns at once; `close` waits for what is under way."""
        self._over.set()

    def close(self) -> None:
        """Take no more, finish what is under way and acknowledge it; the broker gives the rest to others."""
        self.take_no_more()
        self._thread.join(timeout=30)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        pause_s = 0.1
        while not self._over.is_set():
            try:
                with connect(self._url, heartbeat_s=HEARTBEAT_S, name=f"pileus {self._name}") as connection:
                    connection.ensure_connection(max_retries=1, interval_start=0, timeout=3)
                    pause_s = 0.1
                    self._consume(connection)
            except Exception as error:
                if not isinstance(error, TROUBLE):
                    log.exception("intake broke", extra={"queue": self._name})
                self._went_deaf(error)
                self._over.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _consume(self, connection: Connection) -> None:
        channel = connection.channel()
        channel.basic_qos(0, self._prefetch, False)
        if self._parking is not None:
            self._parking(channel).declare()
        self._outstanding = 0
        while not self._settled.empty():
            self._settled.get()  # of the connection before: the broker delivers those again
        with Consumer(channel, queues=self._queues, on_message=self._arrived, auto_declare=True) as consumer:
            if self.deaf_since is not None:
                log.info("listening", extra={"queues": [one.name for one in self._queues]})
            self.deaf_since = None
            self.is_listening.set()
            while not self._over.is_set():
                self._drain(connection)
            consumer.cancel()
            self._finish(connection)

    def _drain(self, connection: Connection) -> None:
        self._settle()
        try:
            connection.drain_events(timeout=BUSY_S if self._outstanding else IDLE_S)
        except TimeoutError:
            connection.heartbeat_check()

    def _finish(self, connection: Connection) -> None:
        end = time.monotonic() + FINISH_S
        while self._outstanding and time.monotonic() < end:
            self._drain(connection)
        self._settle()

    def _arrived(self, delivery: Delivery) -> None:
        self._outstanding += 1
        self._pool.submit(self._work, delivery)

    def _work(self, delivery: Delivery) -> None:
        try:
            self._take(delivery)
            self._settled.put((delivery, True))
        except PlatformError as error:
            log.error("message parked", extra={"why": error.message, "queue": self._name, **error.facts})
            self._settled.put((delivery, False))
        except Exception:
            log.exception("message parked", extra={"queue": self._name})
            self._settled.put((delivery, False))

    def _settle(self) -> None:
        while True:
            try:
                delivery, taken = self._settled.get_nowait()
            except queue.Empty:
                return
            self._outstanding = max(0, self._outstanding - 1)
            try:
                delivery.ack() if taken else delivery.reject(requeue=False)
            except (delivery.MessageStateError, amqp.exceptions.RecoverableChannelError):
                log.info("a delivery of an earlier connection was settled late")

    def _went_deaf(self, error: BaseException) -> None:
        self.is_listening.clear()
        if self.deaf_since is None:
            self.deaf_since = utc_now()
            log.warning("broker lost", extra={"queue": self._name, "why": str(error)[:200]})
            self._lost()


def headers_of(delivery: Delivery) -> dict[str, Any]:
    return dict(delivery.headers or {})
