"""Each call has one handler, and each message says what it needs to."""

from __future__ import annotations

import pytest

from common.bus.bus import Handlers
from common.bus.messages import Call, Event, Message
from services.compute import contract as compute
from services.compute.agent.calls import handlers as ON_HOSTS
from services.compute.worker.answers import handlers as ON_THE_CONTROL_PLANE
from services.identity import contract as identity
from services.image import contract as image

CONTRACTS = (compute, identity, image)


def messages(root: type[Message]) -> list[type[Message]]:
    return [
        kind
        for contract in CONTRACTS
        for kind in vars(contract).values()
        if isinstance(kind, type)
        and issubclass(kind, root)
        and kind.__module__ == contract.__name__
        and "[" not in kind.__name__
    ]


@pytest.mark.parametrize("kind", messages(Call), ids=lambda kind: kind.__name__)
def test_each_call_has_exactly_one_handler(kind: type[Call[object]]) -> None:
    doors: list[Handlers] = [ON_HOSTS, ON_THE_CONTROL_PLANE]

    answering = [door for door in doors if kind.__name__ in door.calls]

    assert len(answering) == 1


@pytest.mark.parametrize("kind", messages(Call), ids=lambda kind: kind.__name__)
def test_each_call_names_its_queue_its_patience_its_answer_and_its_purpose(kind: type[Call[object]]) -> None:
    assert kind.queue
    assert kind.timeout_s > 0
    assert kind.answer_type()
    assert kind.__doc__


@pytest.mark.parametrize("kind", messages(Event), ids=lambda kind: kind.__name__)
def test_each_event_has_a_topic_and_a_purpose(kind: type[Event]) -> None:
    assert kind.topic.count(".") >= 1
    assert kind.__doc__


def test_message_names_are_not_used_twice() -> None:
    names = [kind.__name__ for kind in messages(Message)]

    assert len(names) == len(set(names))
