"""Where a saga goes next: decided here, without I/O; `engine.py` does the work and writes it down."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from common.errors import Conflict, DeadlineExceeded, HostFailed, NotFound, PlatformError, Unavailable
from common.fencing import Fence
from common.saga.saga import AskAgain, LocalStep, Run, Saga, Step
from common.saga.tables import SagaState

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
LONGEST_UNDO_PAUSE_S = 60.0
TELL_AFTER = 5  # undos that came to nothing: until then, some seconds, nobody need know


class Cancelled(Conflict):
    """Somebody wants the opposite by now: what was done is undone."""

    code = "cancelled"


@dataclass(slots=True)
class Progress:
    """One claimed saga in a worker's hands."""

    number: int
    run: Run[Any]
    saga: Saga[Any]
    state: SagaState
    position: int
    resume_at: int | None
    generation: int
    tries: int
    step_began_at: datetime | None
    is_cancelled: bool
    is_told: bool

    @classmethod
    def of(cls, row: Any, saga: Saga[Any]) -> Progress:
        run = Run(
            id=row.id,
            kind=row.kind,
            params=saga.params.model_validate(row.params),
            resource_id=row.resource_id,
            project_id=row.project_id,
            user_id=row.user_id,
            request_id=row.request_id,
            deadline_at=row.deadline_at,
            results=dict(row.results),
            excluded=tuple(row.excluded),
            error=row.error,
        )
        return cls(
            row.number, run, saga, SagaState(row.state), row.position, row.resume_at, row.generation,
            row.tries, row.step_began_at, row.is_cancelled and saga.may_be_cancelled, row.is_told,
        )  # fmt: skip

    @property
    def fence(self) -> Fence:
        return Fence(self.number, self.generation)

    @property
    def is_undoing(self) -> bool:
        return self.state is SagaState.UNDOING

    @property
    def step(self) -> Step | LocalStep:
        return self.saga.steps[self.position]

    @property
    def is_local(self) -> bool:
        """Whether what comes next happens within the database alone."""
        return isinstance(self.step, LocalStep) or (self.is_undoing and self.step.undo is None)

    def work(self, kit: Any, now: datetime) -> Any:
        """Do the present step, or undo it."""
        assert isinstance(self.step, Step)
        if not self.is_undoing:
            self._must_go_on(now)
            return self.step.do(self.run, kit)
        return self.step.undo(self.run, kit) if self.step.undo else None

    def work_within(self, kit: Any, session: Session) -> Any:
        """The same where that is local."""
        if self.is_undoing and self.step.undo is None:
            return None
        assert isinstance(self.step, LocalStep)
        if not self.is_undoing:
            self._must_be_wanted()  # late or not: it takes no time
            return self.step.do(self.run, kit, session)
        return self.step.undo(self.run, kit, session) if self.step.undo else None

    def known(self, kit: Any) -> Any:
        """What would come of a step that works outside, if that is known without asking; None: it has to be done."""
        step = self.step
        if self.is_undoing or self.is_cancelled or isinstance(step, LocalStep) or step.known is None:
            return None
        return step.known(self.run, kit)

    def _must_go_on(self, now: datetime) -> None:
        """Cancelled, or DeadlineExceeded, if the present step should not be tried."""
        self._must_be_wanted()
        if self.is_late(now):
            raise DeadlineExceeded(f"Step '{self.step.name}' did not end within {self.step.timeout_s:g} s")

    def _must_be_wanted(self) -> None:
        if self.is_cancelled:
            raise Cancelled("Cancelled by a later request")

    def is_late(self, now: datetime) -> bool:
        began = self.step_began_at or now
        return now >= began + timedelta(seconds=self.step.timeout_s) or (
            not self.is_undoing and now >= self.run.deadline_at
        )

    def left_s(self, now: datetime) -> float:
        """Until others may give up the present step."""
        began = now if self.is_undoing else self.step_began_at or now
        return self.step.timeout_s - (now - began).total_seconds()

    def take(self, advance: Advance) -> None:
        """Be where the record says."""
        for name, value in advance.changes.items():
            if name in ("results", "excluded", "error"):
                setattr(self.run, name, tuple(value) if name == "excluded" else value)
            elif hasattr(self, name):
                setattr(self, name, value)


@dataclass(frozen=True, slots=True)
class Advance:
    """What to record: columns of the saga, the outcome of its open event, and whether it waits or has ended."""

    changes: dict[str, Any]
    event: dict[str, Any] | None = None
    due_at: datetime | None = None
    is_end: bool = False
    tell_failure: bool = field(default=False)


def after_success(progress: Progress, result: Any, now: datetime) -> Advance:
    """The present step was done, or undone."""
    if progress.is_undoing:
        return _undone(progress, now, {"succeeded": True})
    run, last = progress.run, progress.position + 1 == len(progress.saga.steps)
    run.results = run.results | {progress.step.name: result}
    event = {"succeeded": True, "host": progress.saga.host_of(run)}
    changes: dict[str, Any] = {"results": run.results, "tries": 0, "step_began_at": None}
    if last:
        return Advance(changes | {"state": SagaState.DONE, "finished_at": now, "error": None}, event, is_end=True)
    return Advance(changes | {"position": progress.position + 1}, event)


def after_failure(progress: Progress, error: Exception, now: datetime) -> Advance:
    """The present step raised: try again, go elsewhere, or undo."""
    outcome = _outcome(progress, error)
    if progress.is_undoing:
        return _not_undone(progress, now, error, outcome)
    if isinstance(error, AskAgain) and not progress.is_late(now):
        return Advance({"tries": 0, "due_at": now}, due_at=now)
    if isinstance(error, Unavailable) and not isinstance(error, HostFailed) and not progress.is_late(now):
        return _again(progress, now, LONGEST_PAUSE_S, {})
    if progress.step.may_be_skipped and not progress.is_cancelled:
        return replace(after_success(progress, None, now), event=outcome)
    host = progress.saga.host_of(progress.run)
    if isinstance(error, Unavailable) and host and _may_go_elsewhere(progress, now):
        resume_at = progress.saga.index(str(progress.saga.elsewhere))
        excluded = [*progress.run.excluded, host]
        return _undo_from_here(outcome, {"resume_at": resume_at, "excluded": excluded, "error": outcome["message"]})
    return _undo_from_here(outcome, {"error": outcome["message"], "resume_at": None})


def _may_go_elsewhere(progress: Progress, now: datetime) -> bool:
    saga, run = progress.saga, progress.run
    return (
        saga.elsewhere is not None
        and progress.position >= saga.index(saga.elsewhere)
        and len(run.excluded) + 1 < saga.most_hosts
        and now < run.deadline_at
        and not progress.is_cancelled
    )


def _again(progress: Progress, now: datetime, longest_s: float, changes: dict[str, Any]) -> Advance:
    pause_s = min(FIRST_PAUSE_S * 2 ** min(progress.tries, 16), longest_s)
    due_at = now + timedelta(seconds=pause_s)
    return Advance(changes | {"tries": progress.tries + 1, "due_at": due_at}, due_at=due_at)


def _undo_from_here(outcome: dict[str, Any], changes: dict[str, Any]) -> Advance:
    return Advance(changes | {"state": SagaState.UNDOING, "tries": 0, "step_began_at": None}, outcome)


def _undone(progress: Progress, now: datetime, event: dict[str, Any]) -> Advance:
    run, stop_at = progress.run, progress.resume_at or 0
    run.results = {name: value for name, value in run.results.items() if name != progress.step.name}
    changes: dict[str, Any] = {"results": run.results, "tries": 0, "step_began_at": None}
    if progress.position > stop_at:
        return Advance(changes | {"position": progress.position - 1}, event)
    if progress.resume_at is not None and not progress.is_cancelled:
        return Advance(changes | {"state": SagaState.RUNNING, "resume_at": None}, event)
    if progress.resume_at is not None and progress.position > 0:
        return Advance(changes | {"position": progress.position - 1, "resume_at": None}, event)
    run.error = run.error or "Cancelled by a later request"
    return Advance(
        changes | {"state": SagaState.FAILED, "finished_at": now, "error": run.error},
        event,
        is_end=True,
        tell_failure=not progress.is_told,
    )


def _not_undone(progress: Progress, now: datetime, error: Exception, outcome: dict[str, Any]) -> Advance:
    """Never given up, unless somebody wants the opposite: a host that can't do it is put right when it next compares.

    Once it is plain that it can't be done soon, the resource says why it failed, and `pileus doctor` shows the saga.
    """
    if progress.is_cancelled and isinstance(error, (HostFailed, NotFound)):
        return _undone(progress, now, outcome)
    has_failed = not isinstance(error, Unavailable) or isinstance(error, HostFailed)
    late = (progress.is_late(now) or (has_failed and progress.tries >= TELL_AFTER)) and not progress.is_told
    if late:
        progress.run.error = progress.run.error or outcome["message"]
    changes = {"is_told": True, "error": progress.run.error, "resume_at": None} if late else {}
    again = _again(progress, now, LONGEST_UNDO_PAUSE_S, changes)
    return Advance(again.changes, due_at=again.due_at, tell_failure=late)


def _outcome(progress: Progress, error: Exception) -> dict[str, Any]:
    """The error as the timeline keeps it: a sentence for the owner, the trace for operators."""
    told = error.message if isinstance(error, PlatformError) else f"Unexpected error ({type(error).__name__})"
    details = "".join(traceback.format_exception(error))[-8000:]
    return {"succeeded": False, "host": progress.saga.host_of(progress.run), "message": told, "details": details}
