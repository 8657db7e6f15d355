"""The bus between processes (distributed mode): RabbitMQ by way of kombu.

The broker carries hints; the truth is in the databases.  So a broker that is away makes calls fail at once with
Unavailable (their sagas try again), loses events, and is found again with back-off: nothing needs a restart.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from kombu.message import Message as Delivery
from pydantic import BaseModel, ValidationError

from common.bus.amqp_consume import Intake, headers_of
from common.bus.amqp_publish import TROUBLE, Outbox, Publisher, connect
from common.bus.amqp_wire import DELIVERIES, MOST_DELIVERIES, Topology, checked
from common.bus.bus import Handlers, queue_of, unwrap, wrap
from common.bus.messages import Call, Envelope, Event, Reply
from common.errors import DeadlineExceeded, InvalidInput, Unavailable
from common.settings import PlatformSettings

R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)

log = logging.getLogger(__name__)

REPLY_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
FIRST_CONNECTION_S = 3.0  # a process that was just started may ask before it is connected


class AmqpBus:
    """A `Bus` on a broker.  Opens its connections as they are needed."""

    def __init__(self, platform: PlatformSettings) -> None:
        self._url, self._key = platform.bus_url, platform.bus_key.get_secret_value().encode()
        self._topology = Topology(platform.bus_namespace, platform.bus_queue_type)
        self._publisher, self._outbox = Publisher(self._url, self._key), Outbox()
        self._pending: dict[UUID, Future[Reply]] = {}
        self._intakes: list[Intake] = []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._reply_to: str | None = None
        self._reply_intake: Intake | None = None

    def call(self, call: Call[R], *, host: str | None = None, timeout_s: float | None = None) -> R:
        patience_s = call.timeout_s if timeout_s is None else timeout_s
        envelope = wrap(call, deadline=_in(patience_s), reply_to=self._replies())
        future: Future[Reply] = Future()
        self._pending[envelope.id] = future
        try:
            self._publish_call(envelope, queue_of(call, host))
            return unwrap(call, future.result(patience_s))
        except FutureTimeout as error:
            raise DeadlineExceeded(f"{type(call).__name__}: no answer within {patience_s:g} s") from error
        finally:
            self._pending.pop(envelope.id, None)

    def send(self, call: Call[Any], *, host: str | None = None) -> None:
        envelope, queue = wrap(call, deadline=_in(call.timeout_s)), queue_of(call, host)
        self._outbox.put(lambda: self._publish_call(envelope, queue))

    def tell(self, event: Event) -> None:
        sealed, topic = _bytes(wrap(event)), event.topic
        self._outbox.put(lambda: self._publisher.publish(sealed, exchange=self._topology.events, key=topic))

    def serve(self, queue: str, handlers: Handlers, *, threads: int = 8) -> None:
        def take(delivery: Delivery) -> None:
            envelope = self._open(delivery)
            if delivery.delivery_info.get("redelivered") and not self._may_try_again(delivery, queue):
                return
            reply = handlers.answer(envelope)
            if envelope.reply_to is not None:
                self._answer(reply, envelope.reply_to)

        queues, parking = [self._topology.of_calls(queue)], self._topology.parking
        self._intakes.append(Intake(self._url, queues, take, name=queue, threads=threads, parking=parking))

    def listen(self, topic: str, handlers: Handlers) -> None:
        queue = self._topology.of_process(f"events.{uuid4().hex}", topic=topic)
        self._intakes.append(
            Intake(self._url, [queue], lambda one: handlers.tell(self._open(one)), name=topic, threads=1)
        )

    def deaf_since(self) -> datetime | None:
        times = [intake.deaf_since for intake in self._intakes if intake.deaf_since is not None]
        return min(times, default=None)

    def close(self) -> None:
        self._over.set()
        self._fail_pending()
        for intake in self._intakes:
            intake.take_no_more()  # each notices within a second, all of them within the same
        for intake in self._intakes:
            intake.close()
        self._outbox.close()
        self._publisher.close()

    def parked(self) -> int:
        """How many messages nobody could take.  Unavailable"""
        try:
            with connect(self._url) as connection:
                parking = self._topology.parking(connection.channel())
                parking.declare()
                return int(parking.queue_declare(passive=True).message_count)
        except TROUBLE as error:
            raise Unavailable("The message broker does not answer") from error

    # ------------------------------------------------------------------

    def _publish_call(self, envelope: Envelope, queue: str) -> None:
        self._publisher.publish(_bytes(envelope), exchange=self._topology.calls, key=queue, must_arrive=True)

    def _replies(self) -> str:
        """Name of this process's queue for replies; made on first use.  Unavailable"""
        with self._lock:
            if self._reply_intake is None:
                queue = self._topology.of_process(f"replies.{uuid4().hex}")
                self._reply_to = str(queue.name)
                self._reply_intake = Intake(
                    self._url, [queue], self._take_reply, name="replies", threads=1, lost=self._fail_pending
                )
                self._intakes.append(self._reply_intake)
                self._reply_intake.is_listening.wait(FIRST_CONNECTION_S)
        if not self._reply_intake.is_listening.is_set():
            raise Unavailable("The message broker does not answer")
        return str(self._reply_to)

    def _take_reply(self, delivery: Delivery) -> None:
        reply = self._read(Reply, delivery)
        if (future := self._pending.get(reply.id)) is not None:
            with suppress(InvalidStateError):  # it was told just now that its reply may be lost
                future.set_result(reply)

    def _fail_pending(self) -> None:
        """Replies may be lost: let the callers ask again now instead of at their deadlines."""
        for future in list(self._pending.values()):
            with suppress(InvalidStateError):  # its reply came just now
                future.set_exception(Unavailable("The connection to the bus ended; whether it was done is unknown"))

    def _answer(self, reply: Reply, reply_to: str) -> None:
        """Send the reply, if need be when the broker is back; one that is lost costs its caller the whole timeout."""
        for pause_s in REPLY_PAUSES_S:
            try:
                self._publisher.publish(_bytes(reply), exchange=None, key=reply_to)
                return
            except Unavailable:
                self._over.wait(pause_s)
        log.warning("reply lost", extra={"call_id": str(reply.id)})

    def _may_try_again(self, delivery: Delivery, queue: str) -> bool:
        """A message that came back because its process died is counted: it may be what kills them.

        Counting means sending it again with a higher number, since classic queues keep no count; False then, and this
        delivery is done with.
        """
        headers = headers_of(delivery)
        count = int(headers.get(DELIVERIES, 1)) + 1
        if count > MOST_DELIVERIES:
            raise InvalidInput("The message was delivered too often", deliveries=count)
        body = checked(delivery.body, headers, self._key)
        self._publisher.publish(body, exchange=self._topology.calls, key=queue, headers={DELIVERIES: count})
        return False

    def _open(self, delivery: Delivery) -> Envelope:
        return self._read(Envelope, delivery)

    def _read(self, kind: type[M], delivery: Delivery) -> M:
        try:
            return kind.model_validate_json(checked(delivery.body, headers_of(delivery), self._key))
        except ValidationError as error:
            raise InvalidInput("The message is malformed") from error


def _bytes(message: BaseModel) -> bytes:
    return message.model_dump_json().encode()


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
