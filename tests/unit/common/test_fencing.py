"""Whoever was overtaken is not heeded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common import log as ids
from common.bus.bus import Handlers, wrap
from common.errors import Conflict, DeadlineExceeded
from common.fencing import KEEP_S, Fence, Fences, begin_before, fence
from services.compute.contract import SagasDue


def asked(fences: Fences, key: str, one: Fence | None) -> bool:
    """Whether it was heeded."""
    with ids.bound(fence, one):
        try:
            fences.must_be_newest(key)
        except Conflict:
            return False
    return True


@pytest.mark.parametrize("newer", [Fence(7, 3), Fence(8, 1)], ids=["taken over", "later work"])
def test_an_older_worker_is_not_heeded_after_a_newer_one(newer: Fence) -> None:
    fences = Fences()

    heeded = [asked(fences, "guest", one) for one in (Fence(7, 2), newer, Fence(7, 2), newer)]

    assert heeded == [True, True, False, True]


def test_others_and_those_who_act_for_nothing_are_heeded() -> None:
    fences = Fences()
    asked(fences, "guest", Fence(7, 3))

    assert asked(fences, "another guest", Fence(7, 2)) and asked(fences, "guest", None)


def test_a_fence_is_forgotten_when_nothing_older_can_come_any_more() -> None:
    now = 0.0
    fences = Fences(now=lambda: now)
    asked(fences, "guest", Fence(7, 3))

    now = KEEP_S + 1
    heeded = asked(fences, "guest", Fence(2, 1))  # of a database that was restored from a backup

    assert heeded


def test_a_call_carries_the_fence_of_its_worker_and_is_not_begun_after_its_step() -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)

    with ids.bound(fence, Fence(7, 3)), ids.bound(begin_before, past):
        envelope = wrap(SagasDue(), deadline=past + timedelta(seconds=60))
    reply = Handlers().answer(type(envelope).model_validate_json(envelope.model_dump_json()))

    assert envelope.fence == Fence(7, 3) and envelope.deadline == past
    assert reply.failure is not None and reply.failure.code == DeadlineExceeded.code
