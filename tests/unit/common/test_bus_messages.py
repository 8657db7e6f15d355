"""Messages cross the bus as JSON and come back as what they were."""

from __future__ import annotations

from enum import IntEnum
from uuid import UUID, uuid4

from common.bus.bus import Handlers, unwrap, wrap
from common.bus.messages import Call, Envelope, Reply
from common.errors import KINDS, Conflict, NoCapacity


class Power(IntEnum):
    ON = 1


class Ask(Call[Power]):
    queue, timeout_s = "test", 1.0
    server_id: UUID


class AskMany(Call[list[UUID]]):
    queue, timeout_s = "test", 1.0


def test_an_answer_is_read_as_the_type_that_the_call_declares() -> None:
    ids = [uuid4(), uuid4()]

    power = unwrap(Ask(server_id=uuid4()), Reply(id=uuid4(), answer=1))
    many = unwrap(AskMany(), Reply(id=uuid4(), answer=[str(one) for one in ids]))

    assert power is Power.ON
    assert many == ids


def test_a_refusal_comes_back_as_the_same_kind_of_error() -> None:
    handlers = Handlers()

    @handlers.serves(Ask)
    def refuse(call: Ask) -> Power:
        raise NoCapacity("full")

    reply = handlers.answer(wrap(Ask(server_id=uuid4())))

    assert reply.failure is not None
    assert KINDS[reply.failure.code] is NoCapacity
    assert issubclass(NoCapacity, Conflict)


def test_a_bug_in_a_handler_tells_its_class_and_nothing_else() -> None:
    handlers = Handlers()

    @handlers.serves(Ask)
    def broken(call: Ask) -> Power:
        raise ZeroDivisionError("secret path /etc/x")

    reply = handlers.answer(wrap(Ask(server_id=uuid4())))

    assert reply.failure is not None
    assert reply.failure.message == "Ask failed: ZeroDivisionError"


def test_unknown_fields_of_a_newer_release_are_ignored() -> None:
    envelope = wrap(Ask(server_id=uuid4()))
    newer = envelope.model_dump(mode="json") | {"colour": "blue"}
    newer["body"]["colour"] = "blue"

    read = Envelope.model_validate(newer)

    assert Ask.model_validate(read.body).server_id == UUID(envelope.body["server_id"])
