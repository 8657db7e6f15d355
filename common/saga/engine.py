"""Runs sagas: claims due ones with a lease, does the next step, writes down what came of it, goes on.

Another worker takes over when a lease expires, and only the holder of the newest claim can record.  A step that can't be
done now is tried again until its deadline; one that fails for good has everything undone; what can't be undone yet is
tried for ever, while the resource already says why it failed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from common import log as ids
from common.clock import utc_now
from common.db.database import Database
from common.errors import PlatformError, Unavailable
from common.fencing import begin_before, fence
from common.saga.advance import Advance, Progress, after_failure, after_success
from common.saga.page import Page
from common.saga.saga import Saga
from common.saga.store import UNREAD_FOR, Sagas
from common.saga.tables import SagaState, SagaTables

log = logging.getLogger(__name__)


Unread = Callable[[Session, UUID, str], None]  # within the session: the resource, and why


def _nobody_to_tell(session: Session, resource_id: UUID, why: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How an engine works."""

    threads: int = 16
    lease_s: float = 15
    poll_s: float = 1.0  # how long a lost hint delays work


@dataclass(slots=True)
class _Held:
    """A claimed saga; renewed until its step should long have ended."""

    generation: int
    renew_until: datetime


class SagaEngine:
    """One worker's engine.  `start` runs it on threads; `run_due` does what is due, here and now."""

    def __init__(
        self,
        database: Database,
        tables: SagaTables,
        sagas: Mapping[str, Saga[Any]],
        kit: Any,
        *,
        worker: str,
        pace: Pace | None = None,
        now: Callable[[], datetime] = utc_now,
        unread: Unread = _nobody_to_tell,
    ) -> None:
        """`unread` is told of each saga that is given up because no worker can read it."""
        self._database, self._tables, self._sagas, self._kit = database, tables, sagas, kit
        self._worker, self._pace, self._now = worker, pace or Pace(), now
        self._unread = unread
        self._held: dict[UUID, _Held] = {}
        self._lock, self._is_started = threading.Lock(), False
        self._wake, self._over = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(self._pace.threads, thread_name_prefix="saga")
        self._threads = [
            threading.Thread(target=self._dispatch, name="saga-dispatch", daemon=True),
            threading.Thread(target=self._renew, name="saga-renew", daemon=True),
        ]

    def start(self, *, alone: bool = False) -> None:
        """Begin.  `alone`: no other process works on this database, so what a dead one held is free at once."""
        if alone:
            with self._database.transaction() as session:
                self._store(session).release(worker=None)
        self._is_started = True
        for thread in self._threads:
            thread.start()

    def nudge(self) -> None:
        """There is work: look now instead of at the next poll."""
        self._wake.set()

    def stop(self, *, patience_s: float = 5) -> None:
        """Claim no more, let present steps end, hand the rest back."""
        self._over.set()
        self._wake.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=5)
        threading.Thread(target=self._pool.shutdown, kwargs={"wait": True}, daemon=True).start()
        self._wait_until_idle(patience_s)
        with suppress(Unavailable), self._database.transaction() as session:
            self._store(session).release(worker=self._worker)

    def run_due(self) -> int:
        """Advance everything that is due as far as it goes now, on this thread; how many sagas that were."""
        claimed = self.claim_due(self._pace.threads)
        for progress in claimed:
            self.advance(progress)
        return len(claimed)

    def next_due(self) -> datetime | None:
        """When the next saga that nobody works on becomes due."""
        with self._database.reading() as session:
            return self._next_due(session)

    # ------------------------------------------------------------------ claiming

    def _dispatch(self) -> None:
        while not self._over.is_set():
            self._wake.clear()
            pause_s = self._pace.poll_s
            try:
                pause_s = self._hand_out()
            except Unavailable as error:
                log.warning("sagas not claimed", extra={"why": error.message})
            except Exception:
                log.exception("sagas not claimed")
            if pause_s:
                self._wake.wait(pause_s)  # set, too, when a saga leaves its thread

    def _hand_out(self) -> float:
        """Give what is due to free threads; seconds to wait until there may be more."""
        if (room := self._pace.threads - len(self._held)) <= 0:
            return self._pace.poll_s
        with self._database.transaction() as session:
            claimed = self._claim(session, room)
            pause_s = 0 if claimed else self._pause_s(self._next_due(session))
        self._hold(claimed)
        for progress in claimed:
            self._pool.submit(self.advance, progress)
        return pause_s

    def _next_due(self, session: Session) -> datetime | None:
        return self._store(session).next_due(tuple(self._sagas), after=self._now())

    def _pause_s(self, due: datetime | None) -> float:
        """Until the next poll, or sooner if a retry is due before; what is due already waits for another saga."""
        left = (due - self._now()).total_seconds() if due else self._pace.poll_s
        return min(self._pace.poll_s, max(left, 0.005))

    def claim_due(self, most: int) -> list[Progress]:
        """Take up to `most` sagas that are due, for `advance`."""
        with self._database.transaction() as session:
            claimed = self._claim(session, most)
        self._hold(claimed)
        return claimed

    def _claim(self, session: Session, most: int) -> list[Progress]:
        now, store = self._now(), self._store(session)
        rows = store.claim(
            worker=self._worker, kinds=tuple(self._sagas), now=now, lease_s=self._pace.lease_s, most=most
        )
        claimed = [progress for row in rows if (progress := self._read(session, row)) is not None]
        for progress in claimed:
            if (page := Page.first(progress, now)) is not None:
                page.write(store)
        return claimed

    def _read(self, session: Session, row: Any) -> Progress | None:
        """None if this release can't read what another wrote: it stays claimed for a while, and holds up no others."""
        saga = self._sagas[row.kind]
        try:
            if row.position >= len(saga.steps):
                raise ValueError("there is no such step")
            return Progress.of(row, saga)
        except ValueError as error:
            log.error("saga not readable", extra={"saga": row.kind, "id": str(row.id), "why": type(error).__name__})
            now = self._now()
            if row.due_at < now - UNREAD_FOR and (row.is_cancelled or row.deadline_at < now):
                self._give_up(session, row)
            return None

    def end_unreadable(self) -> int:
        """Give up what was to be done, or not any more, and is of a kind that no worker knows; how much that was."""
        kinds = list(self._sagas)
        with self._database.reading() as session:
            if not self._store(session).overdue(self._now(), beside=kinds):
                return 0
        with self._database.transaction() as session:
            overdue = self._store(session).overdue(self._now(), beside=kinds, alone=True)
            for row in overdue:
                self._give_up(session, row)
        return len(overdue)

    def _give_up(self, session: Session, row: Any) -> None:
        """Later sagas of its resource need not wait any more."""
        log.error("saga given up, since it is not readable", extra={"saga": row.kind, "id": str(row.id)})
        why = (
            f"What was asked for ({row.kind}) was written by another release of this service, and no worker can read it"
        )
        self._store(session).give_up(row.id, why, self._now())
        self._unread(session, row.resource_id, why)

    # ------------------------------------------------------------------ working

    def advance(self, claimed: Progress) -> None:
        """Work on one claimed saga until it has ended or has to wait; then, on a thread of the engine, on others."""
        progress: Progress | None = claimed
        while progress is not None:
            run = progress.run
            with ids.bound(ids.request_id, run.request_id), ids.bound(ids.saga_id, str(run.id)):
                progress = self._advance(progress)

    def _advance(self, progress: Progress) -> Progress | None:
        """The saga that was claimed along with the end of this one."""
        following: list[Progress] = []
        try:
            while not self._over.is_set() and self._go_on(progress, following):
                pass
        except Unavailable as error:
            log.warning("saga waits for the database", extra={"saga": progress.run.kind, "why": error.message})
        except Exception:
            log.exception("saga not recorded", extra={"saga": progress.run.kind})
        finally:
            self._let_go(progress)
            if not following:
                self._wake.set()
        return following[0] if following else None

    def _go_on(self, progress: Progress, following: list[Progress]) -> bool:
        """Do or undo what comes next, record it along with what then is at hand; whether to go on at once."""
        outside = None if progress.is_local else self._try(progress, partial(self._outside, progress))
        claimed: list[Progress] = []
        with self._database.transaction() as session:
            store = self._store(session)
            seen = store.hold(progress.run.id, progress.generation)
            if seen is None:
                log.warning("saga was taken over", extra={"saga": progress.run.kind})
                return False
            progress.is_cancelled = seen and progress.saga.may_be_cancelled
            page = Page(progress, self._now())
            goes_on = True if outside is None else self._note(session, page, progress, outside)
            while goes_on and (advance := self._at_hand(session, progress)) is not None:
                goes_on = self._note(session, page, progress, advance)
            page.write(store)
            if page.has_ended and self._is_started and not self._over.is_set():
                claimed = self._claim(session, 1)  # saves a commit of its own
        self._hold(claimed)
        following += claimed
        _do_afterwards(progress)
        self._keep(progress)
        return goes_on

    def _note(self, session: Session, page: Page, progress: Progress, advance: Advance) -> bool:
        goes_on = page.note(advance)
        if advance.tell_failure:
            progress.saga.failed(progress.run, self._kit, session)
        if advance.is_end:
            log.info("saga ended", extra={"saga": progress.run.kind, "state": advance.changes["state"]})
        return goes_on

    def _try(self, progress: Progress, work: Callable[[], Any]) -> Advance:
        try:
            return after_success(progress, work(), self._now())
        except Exception as error:
            if not isinstance(error, PlatformError):
                log.exception("step failed", extra={"saga": progress.run.kind, "step": progress.step.name})
            return after_failure(progress, error, self._now())

    def _at_hand(self, session: Session, progress: Progress) -> Advance | None:
        """What comes of the next step, if nobody outside has to be asked."""
        if progress.is_local:
            return self._try(progress, partial(self._within, session, progress))
        known = progress.known(self._kit)
        return None if known is None else after_success(progress, known, self._now())

    def _outside(self, progress: Progress) -> Any:
        """A step, fenced: if this worker stands still meanwhile, what it asks for later is not done any more."""
        last = utc_now() + timedelta(seconds=progress.left_s(self._now()))
        with ids.bound(fence, progress.fence), ids.bound(begin_before, last):
            return progress.work(self._kit, self._now())

    def _within(self, session: Session, progress: Progress) -> Any:
        """A local step: all of what it writes is kept, or nothing."""
        planned = len(progress.run.afterwards)
        try:
            with session.begin_nested():
                return progress.work_within(self._kit, session)
        except BaseException:
            del progress.run.afterwards[planned:]
            raise

    # ------------------------------------------------------------------ leases

    def _hold(self, claimed: list[Progress]) -> None:
        now = self._now()
        with self._lock:
            for progress in claimed:
                self._held[progress.run.id] = _Held(progress.generation, self._lease_end(progress, now))

    def _keep(self, progress: Progress) -> None:
        with self._lock:
            held = self._held.get(progress.run.id)
            if held is not None and held.generation == progress.generation:
                held.renew_until = self._lease_end(progress, self._now())

    def _let_go(self, progress: Progress) -> None:
        """Unless this very process has claimed it anew: then another of its threads holds it."""
        with self._lock:
            held = self._held.get(progress.run.id)
            if held is not None and held.generation == progress.generation:
                del self._held[progress.run.id]

    def _lease_end(self, progress: Progress, now: datetime) -> datetime:
        """A step that runs far past its deadline hangs: let another worker have the saga."""
        return now + timedelta(seconds=progress.step.timeout_s + self._pace.lease_s)

    def _renew(self) -> None:
        while not self._over.wait(self._pace.lease_s / 3):
            now = self._now()
            self._look_for_unreadable()
            with self._lock:
                alive = [saga_id for saga_id, held in self._held.items() if held.renew_until > now]
            if not alive:
                continue
            try:
                with self._database.transaction() as session:
                    until = now + timedelta(seconds=self._pace.lease_s)
                    self._store(session).renew(alive, worker=self._worker, until=until)
            except Exception as error:
                log.warning("leases not renewed", extra={"why": str(error)})

    def _look_for_unreadable(self) -> None:
        try:
            self.end_unreadable()
        except Exception as error:
            log.warning("unreadable sagas not looked for", extra={"why": str(error)})

    def _wait_until_idle(self, patience_s: float) -> None:
        end = self._now() + timedelta(seconds=patience_s)
        while self._held and self._now() < end:
            self._wake.wait(0.05)
            self._wake.clear()

    def _store(self, session: Session) -> Sagas:
        return Sagas(session, self._tables)


def _do_afterwards(progress: Progress) -> None:
    while progress.run.afterwards:
        try:
            progress.run.afterwards.pop(0)()
        except Exception:
            log.exception("not told", extra={"saga": progress.run.kind})


__all__ = ["Pace", "SagaEngine", "SagaState"]
