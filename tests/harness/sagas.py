"""Every trouble at every step of any saga: the proof of "nothing gets stuck, nothing gets lost".

    @pytest.mark.parametrize("case", cases(BOOT_SERVER), ids=str)
    def test_a_boot_survives(world: ComputeWorld, case: Case) -> None:
        prove(world, BOOT_SERVER, BootServer(server_id=world.a_server()), case)

`prove` runs the saga with one trouble injected, lets workers take over from each other as they would, and asserts that it
ends within its deadline, that the world's parts agree, and that nothing is left over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db.database import Database
from common.errors import DeadlineExceeded, HostFailed, PlatformError, Unavailable
from common.saga.engine import Pace, SagaEngine
from common.saga.saga import LocalStep, Run, Saga, Step
from common.saga.store import Sagas
from common.saga.tables import UNFINISHED, SagaState, SagaTables
from tests.harness.clock import Clock

LEASE_S = 15.0


class World(Protocol):
    """What a saga works on, and how it looks from outside."""

    database: Database
    tables: SagaTables
    clock: Clock

    @property
    def kit(self) -> Any: ...

    @property
    def refuses_who_was_overtaken(self) -> bool:
        """Whether late work of a worker that was given up is refused, rather than found by reconciliation."""

    def reconcile(self) -> None:
        """What agents do now and then."""

    def disagreements(self) -> list[str]:
        """Sentences on what does not fit together or is left over; none if all is well."""


class Trouble(StrEnum):
    NONE = "nothing"
    ERROR = "error"
    HOST_FAILED = "host failed"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    TWICE = "second delivery"
    LOST_REPLY = "lost reply"
    PAUSE = "pause"  # the worker stands still until its lease is over, and goes on when another has taken over
    HANG = "hang"  # the same for longer than the step may take


STALLS = (Trouble.PAUSE, Trouble.HANG)


@dataclass(frozen=True, slots=True)
class Case:
    step: str
    is_undo: bool
    trouble: Trouble

    def __str__(self) -> str:
        return f"{'undo ' if self.is_undo else ''}{self.step}: {self.trouble}"


def cases(saga: Saga[Any]) -> list[Case]:
    """Each trouble at each `do` and each `undo`."""
    done = [Case(step.name, False, trouble) for step in saga.steps for trouble in Trouble]
    undone = [Case(step.name, True, trouble) for step in saga.steps if step.undo for trouble in Trouble]
    return done + undone


class Crash(BaseException):
    """The process dies here."""


def prove(
    world: World,
    saga: Saga[Any],
    params: BaseModel | UUID,
    case: Case,
    *,
    resource_id: UUID | None = None,
    repaired: bool = False,
) -> str:
    """The state that the saga ended in.  `repaired`: agreement is asked for only after reconciliation.

    `params` are those of a new saga, or the id of one that the service itself has started.
    """
    trial = Trial(world, saga, case)
    if isinstance(params, UUID):
        saga_id = params
    else:
        saga_id = trial.begin(params, resource_id or params.server_id)  # type: ignore[attr-defined]
    trial.run(saga_id)
    if repaired or (case.trouble in STALLS and not world.refuses_who_was_overtaken):
        world.reconcile()
    row = trial.row(saga_id)
    assert row.state not in UNFINISHED
    assert row.finished_at <= row.deadline_at, "it ended after its deadline"
    assert row.claimed_by is None
    assert trial.open_events(saga_id) == 0
    wrong = world.disagreements()
    assert not wrong, wrong
    assert trial.has_struck, "the trouble never came: the case proves nothing"
    return str(row.state)


@dataclass(slots=True)
class Trial:
    """One run of one saga with one trouble."""

    world: World
    saga: Saga[Any]
    case: Case
    has_struck: bool = False
    _pauses_next: bool = False
    _workers: int = 0
    _troubled: dict[str, Saga[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.has_struck = self.case.trouble is Trouble.NONE
        self._troubled = {self.saga.name: self._with_trouble()}

    def begin(self, params: BaseModel, resource_id: UUID) -> UUID:
        with self.world.database.transaction() as session:
            return Sagas(session, self.world.tables).start(
                self.saga, params, resource_id=resource_id, project_id="p", user_id="u", at=self.world.clock.now()
            )

    def run(self, saga_id: UUID) -> None:
        """Until it has ended; workers that die are replaced."""
        engine = self._engine()
        for _ in range(300):
            if self.row(saga_id).state not in UNFINISHED:
                return
            try:
                if self._pauses_next:
                    self._pause(engine, saga_id)
                elif not engine.run_due():
                    self._wait(saga_id)
            except Crash:
                engine = self._engine()
        raise AssertionError(f"{self.saga.name} never ended")

    def row(self, saga_id: UUID) -> Any:
        sagas = self.world.tables.sagas
        with self.world.database.reading() as session:
            return session.scalars(select(sagas).where(sagas.id == saga_id)).one()

    def open_events(self, saga_id: UUID) -> int:
        events = self.world.tables.events
        with self.world.database.reading() as session:
            query = select(events).where(events.saga_id == saga_id, events.ended_at.is_(None))
            return len(session.scalars(query).all())

    # ------------------------------------------------------------------

    def _engine(self) -> SagaEngine:
        self._workers += 1
        world = self.world
        return SagaEngine(
            world.database,
            world.tables,
            self._troubled,
            world.kit,
            worker=f"worker-{self._workers}",
            pace=Pace(threads=4, lease_s=LEASE_S),
            now=world.clock.now,
        )

    def _wait(self, saga_id: UUID) -> None:
        """Until the saga is due, or its lease is over."""
        row = self.row(saga_id)
        until = max([time for time in (row.due_at, row.claimed_until) if time is not None])
        self.world.clock.advance(max((until - self.world.clock.now()) / timedelta(seconds=1), 0) + 0.001)

    def _pause(self, engine: SagaEngine, saga_id: UUID) -> None:
        """A worker that stands still between its claim and a step that is local."""
        self._wait(saga_id)
        self._pauses_next = False
        [held] = engine.claim_due(1)
        self._let_others_finish(saga_id)
        engine.advance(held)

    def _let_others_finish(self, saga_id: UUID) -> None:
        step = self.saga.steps[self.saga.index(self.case.step)]
        self.world.clock.advance(LEASE_S + 1 + (step.timeout_s if self.case.trouble is Trouble.HANG else 0))
        self.run(saga_id)

    # ------------------------------------------------------------------

    def _with_trouble(self) -> Saga[Any]:
        steps = list(self.saga.steps)
        at = self.saga.index(self.case.step)
        if self.case.is_undo:
            steps[-1] = self._failing(steps[-1])
        steps[at] = self._struck(steps[at])
        return replace(self.saga, steps=tuple(steps))

    def _failing(self, step: Step | LocalStep) -> Step | LocalStep:
        def fail(*_: Any) -> Any:
            raise PlatformError("It fails for good")

        failing: Any = fail
        return replace(step, do=failing)

    def _struck(self, step: Step | LocalStep) -> Step | LocalStep:
        wrap = self._strike_local if isinstance(step, LocalStep) else self._strike
        if self.case.is_undo:
            return replace(step, undo=wrap(step.undo))
        return replace(step, do=wrap(step.do))

    def _strike(self, work: Any) -> Any:
        def struck(run: Run[Any], kit: Any) -> Any:
            return self._meet(lambda: work(run, kit), lambda: self._hang(run, lambda: work(run, kit)))

        return struck

    def _strike_local(self, work: Any) -> Any:
        def struck(run: Run[Any], kit: Any, session: Session) -> Any:
            return self._meet(lambda: work(run, kit, session), self._stand_still_later)

        return struck

    def _meet(self, work: Callable[[], Any], hang: Callable[[], Any]) -> Any:
        if self.has_struck:
            return work()
        self.has_struck = True
        trouble = self.case.trouble
        if trouble in (Trouble.CRASH_AFTER, Trouble.TWICE, Trouble.LOST_REPLY):
            work()
        if trouble in (Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER):
            raise Crash
        if trouble is Trouble.ERROR:
            raise PlatformError("An error for the test")
        if trouble is Trouble.HOST_FAILED:
            raise HostFailed("A failing host for the test")
        if trouble is Trouble.LOST_REPLY:
            raise DeadlineExceeded("No answer, for the test")
        return hang() if trouble in STALLS else work()

    def _hang(self, run: Run[Any], work: Callable[[], Any]) -> Any:
        self._let_others_finish(run.id)
        return work()

    def _stand_still_later(self) -> Any:
        """Within a transaction nobody can take over; before it, somebody can."""
        self._pauses_next = True
        raise Unavailable("Not now, for the test")


def ended_well(state: str) -> bool:
    return state == SagaState.DONE
