"""A toy service with sagas: jars on shelves.  For tests of the engine alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from common.db.database import Database
from common.db.types import Table
from common.fencing import Fences
from common.saga.engine import Pace, SagaEngine
from common.saga.saga import LocalStep, Run, Saga, Step
from common.saga.store import Sagas
from common.saga.tables import SagaColumns, SagaEventColumns, SagaTables
from tests.harness.clock import Clock

LEASE_S = 15.0


class ToyTable(Table):
    __abstract__ = True


class ToySaga(SagaColumns, ToyTable):
    pass


class ToyEvent(SagaEventColumns, ToyTable):
    pass


class LabelRow(ToyTable):
    __tablename__ = "labels"

    jar_id: Mapped[UUID] = mapped_column(primary_key=True)
    text: Mapped[str]


TOY_TABLES = SagaTables(ToySaga, ToyEvent)


class FillJar(BaseModel):
    jar_id: UUID


@dataclass
class Shelves:
    """The outside part: which jars stand on which shelf, and trouble to come."""

    jars: dict[UUID, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    trouble: dict[str, list[BaseException]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    fences: Fences = field(default_factory=Fences)

    def meet(self, step: str) -> None:
        self.calls[step] += 1
        if waiting := self.trouble.get(step):
            raise waiting.pop(0)


def choose(run: Run[FillJar], kit: Shelves) -> str:
    kit.meet("shelf")
    return next(name for name in ("oak", "pine", "fir") if name not in run.excluded)


def put(run: Run[FillJar], kit: Shelves) -> bool:
    kit.fences.must_be_newest(run.params.jar_id)
    kit.meet("jar")
    kit.jars[run.params.jar_id] = run.results["shelf"]
    return True


def take(run: Run[FillJar], kit: Shelves) -> None:
    kit.fences.must_be_newest(run.params.jar_id)
    kit.meet("undo jar")
    kit.jars.pop(run.params.jar_id, None)


def label(run: Run[FillJar], kit: Shelves, session: Session) -> str:
    session.execute(insert(LabelRow), [{"jar_id": run.params.jar_id, "text": run.results["shelf"]}])
    run.then(lambda: kit.told.append("labelled"))
    kit.meet("label")
    return "labelled"


def peel(run: Run[FillJar], kit: Shelves, session: Session) -> None:
    session.execute(delete(LabelRow).where(LabelRow.jar_id == run.params.jar_id))


def seal(run: Run[FillJar], kit: Shelves) -> None:
    kit.meet("seal")


def give_up(run: Run[FillJar], kit: Shelves, session: Session) -> None:
    kit.failed.append(run.error or "")


def shelf_of(run: Run[Any]) -> str | None:
    return run.results.get("shelf")


FILL_JAR = Saga(
    name="fill_jar",
    params=FillJar,
    steps=(
        Step("shelf", choose),
        Step("jar", put, undo=take, timeout_s=30),
        LocalStep("label", label, undo=peel),
        Step("seal", seal, timeout_s=30),
    ),
    failed=give_up,
    elsewhere="shelf",
    host_of=shelf_of,
    action="fill",
)


@dataclass
class ToyWorld:
    """Satisfies the harness's `World`, too."""

    database: Database
    saga: Saga[Any] = FILL_JAR
    tables: SagaTables = TOY_TABLES
    clock: Clock = field(default_factory=Clock)
    kit: Shelves = field(default_factory=Shelves)
    refuses_who_was_overtaken: bool = True
    unread: dict[UUID, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ToyTable.metadata.create_all(self.database.engine)
        self.engine = self.worker("first")

    def worker(self, name: str, *, poll_s: float = 1) -> SagaEngine:
        pace = Pace(threads=4, lease_s=LEASE_S, poll_s=poll_s)
        sagas = {self.saga.name: self.saga}
        return SagaEngine(
            self.database, TOY_TABLES, sagas, self.kit, worker=name, pace=pace, now=self.clock.now, unread=self.note
        )

    def note(self, session: Session, resource_id: UUID, why: str) -> None:
        self.unread[resource_id] = why

    def begin(self, jar_id: UUID | None = None) -> UUID:
        jar = jar_id or uuid4()
        with self.database.transaction() as session:
            return Sagas(session, TOY_TABLES).start(
                self.saga, FillJar(jar_id=jar), resource_id=jar, project_id="p", user_id="u", at=self.clock.now()
            )

    def cancel(self, jar_id: UUID) -> int:
        with self.database.transaction() as session:
            return Sagas(session, TOY_TABLES).cancel(jar_id)

    def row(self, saga_id: UUID) -> ToySaga:
        with self.database.reading() as session:
            return session.scalars(select(ToySaga).where(ToySaga.id == saga_id)).one()

    def events(self, saga_id: UUID) -> list[ToyEvent]:
        with self.database.reading() as session:
            return list(Sagas(session, TOY_TABLES).events_of([saga_id]))

    def labels(self) -> list[str]:
        with self.database.reading() as session:
            return list(session.scalars(select(LabelRow.text)))

    def run_for(self, seconds: float, *, every_s: float = 1) -> None:
        """Let the first worker work while time goes by."""
        passed = 0.0
        while passed <= seconds:
            self.engine.run_due()
            self.clock.advance(every_s)
            passed += every_s

    # ------------------------------------------------------------------ World

    def reconcile(self) -> None:
        """A shelf has no agent: what a given-up worker put there late is cleared away."""
        self.kit.jars = self._labelled()

    def disagreements(self) -> list[str]:
        labelled = self._labelled()
        return [] if labelled == self.kit.jars else [f"labelled {labelled}, standing {self.kit.jars}"]

    def _labelled(self) -> dict[UUID, str]:
        with self.database.reading() as session:
            return {row.jar_id: row.text for row in session.scalars(select(LabelRow))}
