"""Both buses keep the same contract: the one in this process, and RabbitMQ with classic and with quorum queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from kombu import Connection, Producer

from common import log as ids
from common.bus.amqp import AmqpBus
from common.bus.amqp_wire import SIGNATURE, sealed, sign
from common.bus.bus import Bus, Handlers, wrap
from common.bus.memory import MemoryBus
from common.bus.messages import Call, Event
from common.errors import DeadlineExceeded, NotFound, Unavailable
from tests.conftest import OutsideService, a_platform
from tests.harness.waiting import until


class Double(Call[int]):
    queue, timeout_s = "test.host", 60.0
    number: int


class Happened(Event):
    topic = "test.thing.happened"
    number: int


Buses = Callable[[], Bus]
"""Each call gives one more process's bus of the same cloud."""


@pytest.fixture(params=["memory", "classic", "quorum"])
def buses(request: pytest.FixtureRequest) -> Iterator[Buses]:
    made: list[Bus] = []
    if request.param == "memory":
        made.append(MemoryBus())
        yield lambda: made[0]
    else:
        rabbitmq: OutsideService = request.getfixturevalue("rabbitmq")
        platform = a_platform(bus_url=rabbitmq.url, bus_queue_type=request.param, bus_namespace=f"t{uuid4().hex[:8]}")

        def one_more() -> Bus:
            made.append(AmqpBus(platform))
            return made[-1]

        yield one_more
    close_all(made)


def close_all(buses: Sequence[Bus]) -> None:
    """At the same time: each waits for its consumers to notice."""
    with ThreadPoolExecutor(len(buses) or 1) as threads:
        list(threads.map(lambda bus: bus.close(), buses))


def answering(function: Callable[[int], int]) -> Handlers:
    handlers = Handlers()

    @handlers.serves(Double)
    def answer(call: Double) -> int:
        return function(call.number)

    return handlers


def served(bus: Bus, function: Callable[[int], int], *, host: str = "h1") -> Bus:
    bus.serve(f"test.host.{host}", answering(function), threads=4)
    return bus


def ready(bus: Bus, *, host: str = "h1") -> Bus:
    """The bus, once somebody answers on `host`."""

    def answers() -> bool:
        try:
            bus.call(Double(number=0), host=host, timeout_s=5)
        except Unavailable:
            return False
        return True

    until(answers)
    return bus


def test_a_call_is_answered_by_the_host_it_is_for(buses: Buses) -> None:
    served(buses(), lambda number: number * 2, host="h1")
    served(buses(), lambda number: number * 20, host="h2")
    client = ready(ready(buses(), host="h1"), host="h2")

    answers = [client.call(Double(number=4), host="h1"), client.call(Double(number=4), host="h2")]

    assert answers == [8, 80]


def test_the_answerer_s_error_is_raised_at_the_caller(buses: Buses) -> None:
    def refuse(number: int) -> int:
        if number:
            raise NotFound("no guest 7")
        return 0

    served(buses(), refuse)
    client = ready(buses())

    with pytest.raises(NotFound, match="no guest 7"):
        client.call(Double(number=7), host="h1")


def test_a_call_that_nobody_serves_fails_at_once(buses: Buses) -> None:
    client = buses()

    with pytest.raises(Unavailable):
        client.call(Double(number=1), host="nowhere")


def test_a_slow_answer_is_a_missed_deadline(buses: Buses) -> None:
    over = threading.Event()
    served(buses(), lambda number: int(over.wait(number)))
    client = ready(buses())

    with pytest.raises(DeadlineExceeded):
        client.call(Double(number=10), host="h1", timeout_s=0.3)

    over.set()


def test_many_threads_get_each_their_own_answer(buses: Buses) -> None:
    served(buses(), lambda number: number * 2)
    client = ready(buses())
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        answers[number] = client.call(Double(number=number), host="h1")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {number: number * 2 for number in range(40)}


def test_each_listener_hears_an_event_of_its_topic(buses: Buses) -> None:
    heard: dict[str, set[int]] = {"one": set(), "two": set(), "other": set()}

    def hearing(name: str, bus: Bus, topic: str) -> None:
        handlers = Handlers()
        handlers.hears(Happened)(lambda event: heard[name].add(event.number))
        bus.listen(topic, handlers)

    first, second = buses(), buses()
    hearing("one", first, "test.#")
    hearing("two", second, "test.thing.*")
    hearing("other", second, "else.#")
    numbers = iter(range(1_000))

    def both_heard() -> bool:
        first.tell(Happened(number=next(numbers)))
        return bool(heard["one"]) and bool(heard["two"])

    until(both_heard)
    assert heard["other"] == set()


def test_ids_travel_with_a_call(buses: Buses) -> None:
    seen: list[str | None] = []

    def note(number: int) -> int:
        seen.append(ids.request_id.get())
        return number

    served(buses(), note)
    client = ready(buses())

    with ids.bound(ids.request_id, "req-7"):
        client.call(Double(number=1), host="h1")

    assert seen[-1] == "req-7"


# ---------------------------------------------------------------- only with a broker


@pytest.fixture
def cloud(rabbitmq: OutsideService) -> Iterator[Callable[[], AmqpBus]]:
    platform = a_platform(bus_url=rabbitmq.url, bus_namespace=f"t{uuid4().hex[:8]}")
    made: list[AmqpBus] = []

    def one_more() -> AmqpBus:
        made.append(AmqpBus(platform))
        made[-1].platform = platform  # type: ignore[attr-defined]
        return made[-1]

    yield one_more
    close_all(made)


def published(rabbitmq: OutsideService, namespace: str, body: bytes, headers: dict[str, str]) -> None:
    with Connection(rabbitmq.url) as connection, Producer(connection.channel()) as producer:
        producer.publish(
            body, exchange=f"{namespace}.calls", routing_key="test.host.h1", headers=headers,
            content_type="application/octet-stream", content_encoding="binary",
        )  # fmt: skip


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"type": "Double"}', b"x" * 1_000_000])
def test_b7_an_unsigned_or_malformed_message_is_parked_and_harms_nobody(
    cloud: Callable[[], AmqpBus], rabbitmq: OutsideService, body: bytes
) -> None:
    calls: list[int] = []
    server = cloud()
    served(server, lambda number: calls.append(number) or number)  # type: ignore[func-returns-value]
    client = cloud()
    ready(client)

    published(rabbitmq, server.platform.bus_namespace, body, {"x-pileus-signature": "0" * 64})  # type: ignore[attr-defined]
    until(lambda: client.parked() == 1)

    assert client.call(Double(number=3), host="h1") == 3
    assert set(calls) == {0, 3} and calls.count(3) == 1


def test_b7_a_replayed_call_past_its_deadline_is_not_done_again(
    cloud: Callable[[], AmqpBus], rabbitmq: OutsideService
) -> None:
    done: list[int] = []
    server = cloud()
    served(server, lambda number: done.append(number) or number)  # type: ignore[func-returns-value]
    client = ready(cloud())
    client.call(Double(number=5), host="h1")
    sealed, headers = a_sealed_call(server, number=6, deadline=datetime(2020, 1, 1, tzinfo=UTC))

    published(rabbitmq, server.platform.bus_namespace, sealed, headers)  # type: ignore[attr-defined]
    client.call(Double(number=7), host="h1")

    assert 6 not in done


def a_sealed_call(bus: AmqpBus, *, number: int, deadline: datetime) -> tuple[bytes, dict[str, str]]:
    body = sealed(wrap(Double(number=number), deadline=deadline).model_dump_json().encode(), bus._key)
    return body, {SIGNATURE: sign(body, bus._key)}


def test_a_broker_that_restarts_and_forgets_everything_is_found_again(tmp_path: Path) -> None:
    rabbitmq = OutsideService("rabbitmq.sh", tmp_path / "rabbitmq")
    rabbitmq.run("start")
    platform = a_platform(bus_url=rabbitmq.url)
    server, client = AmqpBus(platform), AmqpBus(platform)
    try:
        served(server, lambda number: number * 2)
        ready(client)

        rabbitmq.run("stop")
        with pytest.raises(Unavailable):
            client.call(Double(number=1), host="h1")
        until(lambda: server.deaf_since() is not None)
        rabbitmq.run("wipe")
        rabbitmq.run("start")

        ready(client)
        assert client.call(Double(number=21), host="h1") == 42
        until(lambda: server.deaf_since() is None)
    finally:
        server.close()
        client.close()
        rabbitmq.run("stop")
