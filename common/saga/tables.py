"""Two tables that each service with sagas has: the sagas, and what happened in each of their steps.

A service makes its own by mixing these into its `Table` root, and hands them over as `SagaTables`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from common.db.types import Json, UtcDateTime

Number = BigInteger().with_variant(Integer(), "sqlite")


class SagaState(StrEnum):
    RUNNING = "running"  # steps are being done
    UNDOING = "undoing"  # steps are being undone; then FAILED, or RUNNING again on another host
    DONE = "done"
    FAILED = "failed"  # nothing of it is left, and the resource says why


UNFINISHED = (SagaState.RUNNING, SagaState.UNDOING)


class SagaColumns:
    """One accepted request.  Sagas of one resource run one after another, in the order of `number`."""

    __tablename__ = "sagas"

    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))  # its name in the resource's timeline; "": not shown
    resource_id: Mapped[UUID] = mapped_column(index=True)
    project_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64), index=True)
    params: Mapped[Any] = mapped_column(Json)

    state: Mapped[str] = mapped_column(String(16), default=SagaState.RUNNING)
    position: Mapped[int] = mapped_column(default=0)  # index of the step to do, or to undo, next
    resume_at: Mapped[int | None]  # while UNDOING: stop at this step and do it again, elsewhere
    results: Mapped[Any] = mapped_column(Json)
    excluded: Mapped[Any] = mapped_column(Json)
    error: Mapped[str | None] = mapped_column(Text)
    is_cancelled: Mapped[bool] = mapped_column(default=False)
    is_told: Mapped[bool] = mapped_column(default=False)  # `failed` ran although something could not be undone yet

    tries: Mapped[int] = mapped_column(default=0)  # of the present step
    step_began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    generation: Mapped[int] = mapped_column(
        default=0
    )  # raised by each claim: a worker that lost its lease records nothing
    claimed_by: Mapped[str | None] = mapped_column(String(128))
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deadline_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        unfinished = Index("ix_sagas_due", "state", "due_at")
        return (unfinished, Index("ix_sagas_resource_state", "resource_id", "state"))


class SagaEventColumns:
    """One step of a saga, done or undone; unfinished while it is under way."""

    __tablename__ = "saga_events"

    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    saga_id: Mapped[UUID] = mapped_column(index=True)
    step: Mapped[str] = mapped_column(String(64))
    is_undo: Mapped[bool] = mapped_column(default=False)
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    succeeded: Mapped[bool | None]
    host: Mapped[str | None] = mapped_column(String(255))
    message: Mapped[str | None] = mapped_column(Text)  # for whoever owns the resource
    details: Mapped[str | None] = mapped_column(Text)  # for operators


@dataclass(frozen=True, slots=True)
class SagaTables:
    """One service's own two tables."""

    sagas: type[Any]  # its class made with SagaColumns
    events: type[Any]  # and with SagaEventColumns
