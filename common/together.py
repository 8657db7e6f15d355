"""Those who ask the same question at the same time share one answer, and it is as fresh as an answer of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Question(Generic[T]):
    """One that is being asked, and those who wait for the next time that it is."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    next: Future[T] | None = None


class Together(Generic[T]):
    """Thread-safe.

    A question is asked by one thread at a time.  Whoever comes meanwhile waits for the next answer, never for the present
    one: that may have been found before they came.
    """

    def __init__(self) -> None:
        self._questions: dict[Hashable, _Question[T]] = {}
        self._lock = threading.Lock()

    def ask(self, question: Hashable, find: Callable[[], T]) -> T:
        """What `find` returns, or raises, when it is called after this was."""
        with self._lock:
            asked = self._questions.setdefault(question, _Question())
            answer = asked.next
            if is_mine := answer is None:
                answer = asked.next = Future()
        if is_mine:
            self._find(question, asked, find, answer)
        return answer.result()

    def _find(self, question: Hashable, asked: _Question[T], find: Callable[[], T], answer: Future[T]) -> None:
        with asked.turn:
            with self._lock:
                asked.next = None  # who comes from now on has come too late for this answer
            try:
                answer.set_result(find())
            except BaseException as error:
                answer.set_exception(error)
        with self._lock:
            if asked.next is None and self._questions.get(question) is asked and not asked.turn.locked():
                del self._questions[question]
