"""The bus inside one process (embedded mode): queues are threads, messages still cross as JSON.

Going through the same envelope keeps the contract honest: what works here works over AMQP.  Nothing polls, so an idle
cloud uses no processor, and a call costs tens of microseconds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from common.bus.bus import Handlers, queue_of, unwrap, wrap
from common.bus.messages import Call, Envelope, Event, Reply
from common.bus.topics import matches
from common.errors import DeadlineExceeded, Unavailable

log = logging.getLogger(__name__)

R = TypeVar("R")

LONGEST_QUEUE = 10_000


class _Queue:
    """One queue's answerers and what waits for them."""

    def __init__(self, name: str, handlers: Handlers, threads: int) -> None:
        self.handlers = handlers
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"bus:{name}")
        self._room = threading.Semaphore(LONGEST_QUEUE)

    def put(self, work: Callable[[], Reply]) -> Future[Reply]:
        if not self._room.acquire(blocking=False):
            raise Unavailable("Too many calls wait for an answer")
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:
            self._room.release()
            raise Unavailable("The bus is closing") from error
        future.add_done_callback(lambda _: self._room.release())
        return future

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class MemoryBus:
    """A `Bus` within this process."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._listeners: list[tuple[str, Handlers]] = []
        self._events = ThreadPoolExecutor(1, thread_name_prefix="bus:events")  # one thread: events stay in order

    def call(self, call: Call[R], *, host: str | None = None, timeout_s: float | None = None) -> R:
        patience_s = call.timeout_s if timeout_s is None else timeout_s
        future = self._post(call, host, datetime.now(UTC) + timedelta(seconds=patience_s))
        try:
            return unwrap(call, Reply.model_validate_json(future.result(patience_s).model_dump_json()))
        except FutureTimeout as error:
            future.cancel()
            raise DeadlineExceeded(f"{type(call).__name__}: no answer within {patience_s:g} s") from error

    def send(self, call: Call[Any], *, host: str | None = None) -> None:
        try:
            self._post(call, host, datetime.now(UTC) + timedelta(seconds=call.timeout_s))
        except Unavailable as error:
            log.info("hint not sent", extra={"call": type(call).__name__, "why": error.message})

    def tell(self, event: Event) -> None:
        if listening := [handlers for topic, handlers in self._listeners if matches(topic, event.topic)]:
            sealed = wrap(event).model_dump_json()
            for handlers in listening:
                self._events.submit(_deliver, handlers, sealed)

    def serve(self, queue: str, handlers: Handlers, *, threads: int = 8) -> None:
        self._queues[queue] = _Queue(queue, handlers, threads)

    def listen(self, topic: str, handlers: Handlers) -> None:
        self._listeners.append((topic, handlers))

    def deaf_since(self) -> datetime | None:
        return None

    def close(self) -> None:
        for queue in self._queues.values():
            queue.close()
        self._events.shutdown(wait=True, cancel_futures=True)

    def _post(self, call: Call[Any], host: str | None, deadline: datetime) -> Future[Reply]:
        queue = self._queues.get(queue_of(call, host))
        if queue is None:
            raise Unavailable(f"Nobody serves {queue_of(call, host)}")
        sealed = wrap(call, deadline=deadline).model_dump_json()
        return queue.put(lambda: queue.handlers.answer(Envelope.model_validate_json(sealed)))


def _deliver(handlers: Handlers, sealed: str) -> None:
    handlers.tell(Envelope.model_validate_json(sealed))
