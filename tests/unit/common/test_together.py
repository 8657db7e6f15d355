"""Questions that are asked at the same time: few answers, and none older than its question."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from common.errors import NotFound
from common.together import Together
from tests.harness.waiting import until


class Source:
    """Answers with how often it was asked, once it may."""

    def __init__(self) -> None:
        self.asked, self.may_answer = 0, Event()

    def find(self) -> int:
        self.asked += 1
        mine = self.asked
        self.may_answer.wait(timeout=30)
        return mine


def waiting(together: Together[int], question: str) -> Callable[[], bool]:
    return lambda: (asked := together._questions.get(question)) is not None and asked.next is not None


def test_those_who_come_while_it_is_asked_share_the_next_answer() -> None:
    together, source = Together[int](), Source()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together.ask, "a", source.find)
        until(lambda: source.asked == 1, what="the first question")
        later = [pool.submit(together.ask, "a", source.find) for _ in range(5)]
        until(waiting(together, "a"), what="those who came later")
        source.may_answer.set()

        assert first.result(timeout=30) == 1
        assert min(one.result(timeout=30) for one in later) >= 2, "an answer that is older than its question"
    assert together._questions == {}


def test_one_after_another_each_asks_for_itself() -> None:
    together, source = Together[int](), Source()
    source.may_answer.set()

    assert [together.ask("a", source.find) for _ in range(3)] == [1, 2, 3]
    assert together._questions == {}


def test_other_questions_wait_for_nobody() -> None:
    together, source = Together[int](), Source()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(together.ask, "a", source.find)
        until(lambda: source.asked == 1, what="the first question")

        assert together.ask("b", lambda: 7) == 7
        source.may_answer.set()
        assert slow.result(timeout=30) == 1


def test_a_failure_is_told_to_all_who_waited_for_it() -> None:
    together: Together[int] = Together()

    def fail() -> int:
        raise NotFound("It is gone")

    with pytest.raises(NotFound):
        together.ask("a", fail)
    assert together.ask("a", lambda: 1) == 1
