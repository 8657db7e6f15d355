"""What a saga is: durable long work as a table of steps, each with its `do`, its `undo` and its deadline.

Each `do` and `undo` may run twice (a worker can die between the work and its record), so both accept what they find.
`undo` also covers the step that failed: after a timeout nobody knows how far the host got.

A local step only touches the service's own database.  It gets the session that also records it, so it is done exactly
once and costs no commit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from common.errors import Unavailable

P = TypeVar("P", bound=BaseModel)


class AskAgain(Unavailable):
    """A step's long work goes well and is to be asked about again, at once.  In between the saga can be cancelled."""

    code = "ask.again"


@dataclass(slots=True)
class Run(Generic[P]):
    """One saga at work, as its steps see it."""

    id: UUID
    kind: str
    params: P
    resource_id: UUID
    project_id: str | None
    user_id: str | None
    request_id: str | None
    deadline_at: datetime
    results: dict[str, Any] = field(default_factory=dict)  # step name -> what its `do` returned
    excluded: tuple[str, ...] = ()  # hosts that failed it and are not asked again
    error: str | None = None  # why it is being undone
    memory: dict[str, Any] = field(default_factory=dict)  # what a step need not find out again; lost with its worker
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    def then(self, work: Callable[[], None]) -> None:
        """Have `work` done once what the present local step wrote is committed; a crash in between loses it."""
        self.afterwards.append(work)


Do = Callable[[Run[Any], Any], Any]  # (run, kit) -> JSON, kept before the next step begins
Undo = Callable[[Run[Any], Any], None]
Known = Callable[[Run[Any], Any], Any]  # the same, at once and without asking anybody; None: it has to be done
LocalDo = Callable[[Run[Any], Any, Session], Any]
LocalUndo = Callable[[Run[Any], Any, Session], None]


@dataclass(frozen=True, slots=True)
class Step:
    """`timeout_s` bounds `do` with all its retries; `undo` has the same again.

    With `may_be_skipped` the saga goes on without a step that fails for good: something else makes it good later.
    Where `known` tells what would come of it, it is not done, and costs no commit of its own.
    """

    name: str
    do: Do
    undo: Undo | None = None
    timeout_s: float = 60
    may_be_skipped: bool = False
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class LocalStep:
    """A step within the service's own database, committed together with its record."""

    name: str
    do: LocalDo
    undo: LocalUndo | None = None
    timeout_s: float = 60
    may_be_skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Saga(Generic[P]):
    """`failed` runs once everything is undone, in the transaction that ends the saga: it leaves the reason where the
    user finds it.

    With `elsewhere`, a step that fails for a reason tied to its host (HostFailed, or no answer from it) does not fail
    the saga: all is undone down to and including that step, which then runs again with the host excluded.
    `host_of` tells which host a run is on.
    """

    name: str
    params: type[P]
    steps: tuple[Step | LocalStep, ...]
    failed: LocalUndo
    elsewhere: str | None = None
    host_of: Callable[[Run[Any]], str | None] = lambda run: None
    most_hosts: int = 3
    may_be_cancelled: bool = True
    action: str = ""  # its name in the resource's timeline (os-instance-actions); "" shows none
    events: Mapping[str, str] = field(default_factory=dict)  # step -> event name in the timeline, if not the step's own

    def step_names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self.steps)

    def index(self, name: str) -> int:
        return self.step_names().index(name)

    @property
    def timeout_s(self) -> float:
        """All it may take, every host tried and everything undone."""
        return sum(step.timeout_s for step in self.steps) * 2 * (self.most_hosts if self.elsewhere else 1)
