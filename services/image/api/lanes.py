"""Work on pieces of bytes that must be done in their order, on whatever thread of a pool is free."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

Work = Callable[[], None]


class Lane:
    """One after another, without a word to the event loop in between; what follows a failure is not done and fails alike.

    After each piece the thread is the pool's again, so that one upload does not hold up the others.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._waiting: deque[tuple[Work, Future[None]]] = deque()
        self._is_busy, self._lock = False, threading.Lock()
        self._failure: BaseException | None = None

    def give(self, work: Work) -> Future[None]:
        """Work that was given is done or fails, even if nobody waits for it any more: what it works on stays open until then."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # from here on `cancel` does nothing
        with self._lock:
            self._waiting.append((work, future))
            begins, self._is_busy = not self._is_busy, True
        if begins:
            self._pool.submit(self._next)
        return future

    def _next(self) -> None:
        with self._lock:
            work, future = self._waiting.popleft()
        if self._failure is None:
            try:
                work()
            except BaseException as error:
                self._failure = error
        if self._failure is None:
            future.set_result(None)
        else:
            future.set_exception(self._failure)
        with self._lock:
            self._is_busy = goes_on = bool(self._waiting)
        if goes_on:
            self._pool.submit(self._next)
