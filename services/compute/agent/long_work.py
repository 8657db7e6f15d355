"""Work that outlasts a call: begun by the first that asks for it, gone on with while others ask how it stands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Event
from uuid import UUID

from common.errors import PlatformError, Unavailable

AT_ONCE = 4
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Work:
    """What is done for one server."""

    server_id: UUID
    kind: str
    image_id: UUID


@dataclass(eq=False, slots=True)
class _Job:
    over: Event = field(default_factory=Event)  # nobody wants it any more
    ended: Event = field(default_factory=Event)
    error: Exception | None = None


class LongWork:
    """One per host.  At most `at_once` jobs run; others wait for their turn."""

    def __init__(self, *, at_once: int = AT_ONCE) -> None:
        self._jobs: dict[Work, _Job] = {}
        self._lock, self._room = threading.Lock(), threading.Semaphore(at_once)

    def ask(self, work: Work, do: Callable[[Event], object], *, wait_s: float) -> bool:
        """Whether it is done; begun if it was not.  Raises what it raised.

        An outcome is told once: whoever asks after that begins anew.
        """
        job = self._begun(work, do)
        if not job.ended.wait(wait_s):
            return False
        with self._lock:
            if self._jobs.get(work) is job:
                del self._jobs[work]
        if job.error is not None:
            raise job.error
        return True

    def end(self, server_id: UUID) -> None:
        """All that is done for this server; returns once nothing is.  Unavailable if that takes too long"""
        with self._lock:
            mine = [work for work in self._jobs if work.server_id == server_id]
            jobs = [self._jobs.pop(work) for work in mine]
        self._await(jobs)

    def close(self) -> None:
        with self._lock:
            jobs, self._jobs = list(self._jobs.values()), {}
        self._await(jobs)

    def _await(self, jobs: list[_Job]) -> None:
        for job in jobs:
            job.over.set()
        if not all(job.ended.wait(PATIENCE_S) for job in jobs):
            raise Unavailable("What was begun for the server has not ended yet")

    def _begun(self, work: Work, do: Callable[[Event], object]) -> _Job:
        with self._lock:
            if (job := self._jobs.get(work)) is None:
                job = self._jobs[work] = _Job()
                run = copy_context().run
                threading.Thread(target=run, args=(self._do, job, do), name=work.kind, daemon=True).start()
            return job

    def _do(self, job: _Job, do: Callable[[Event], object]) -> None:
        try:
            with self._room:
                if not job.over.is_set():
                    do(job.over)
        except Exception as error:
            job.error = (
                error if isinstance(error, PlatformError) else PlatformError(f"It failed: {type(error).__name__}")
            )
        finally:
            job.ended.set()
