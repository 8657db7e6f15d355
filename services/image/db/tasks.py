"""Tasks in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from common import log as ids
from common.db.paging import after, in_order
from common.db.types import utc_now
from common.errors import InvalidInput, NotFound
from services.image.core.tasks import KEPT_FOR, Task, TaskStatus
from services.image.db.tables import TaskRow

ENDED = (TaskStatus.SUCCESS, TaskStatus.FAILURE)
FIELDS = tuple(Task.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Tasks:
    """Queries of one session."""

    session: Session

    def add(self, kind: str, image_id: UUID, asked: dict[str, Any], *, owner: str | None, user_id: str | None) -> Task:
        """A task that waits for its turn, started by the present request."""
        now = utc_now()
        row = TaskRow(
            id=uuid4(),
            type=kind,
            status=TaskStatus.PENDING,
            owner=owner,
            user_id=user_id,
            request_id=ids.request_id.get(),
            image_id=image_id,
            input=asked,
            message="",
            expires_at=None,
            created_at=now,
            updated_at=now,
        )
        self.session.add(row)
        self.session.flush()
        return _task(row)

    def put(self, task_id: UUID, status: TaskStatus, message: str = "") -> None:
        now = utc_now()
        expires_at = now + KEPT_FOR if status in ENDED else None
        self.session.execute(
            update(TaskRow)
            .where(TaskRow.id == task_id)
            .values(status=status, message=message, expires_at=expires_at, updated_at=now)
        )

    def note(self, task_id: UUID, message: str) -> None:
        """What it is at; a task that has ended is left alone."""
        self.session.execute(
            update(TaskRow)
            .where(TaskRow.id == task_id, TaskRow.status == TaskStatus.PROCESSING)
            .values(message=message, updated_at=utc_now())
        )

    def one(self, task_id: UUID) -> Task:
        """NotFound"""
        if (row := self.session.get(TaskRow, task_id)) is None:
            raise NotFound(f"Task {task_id} not found")
        return _task(row)

    def of_image(self, image_id: UUID) -> list[Task]:
        """Oldest first."""
        query = select(TaskRow).where(TaskRow.image_id == image_id).order_by(TaskRow.created_at, TaskRow.id)
        return [_task(row) for row in self.session.scalars(query)]

    def page(
        self, *, type: str | None, status: str | None, limit: int, marker: UUID | None, sort: str, descends: bool
    ) -> list[Task]:
        """InvalidInput for an unknown marker"""
        sorts = [(getattr(TaskRow, name), descends) for name in dict.fromkeys((sort, "id"))]
        wanted: list[ColumnElement[bool]] = []
        if type is not None:
            wanted.append(TaskRow.type == type)
        if status is not None:
            wanted.append(TaskRow.status == status)
        if marker is not None:
            found = self.session.execute(select(*(one for one, _ in sorts)).where(TaskRow.id == marker)).first()
            if found is None:
                raise InvalidInput(f"No task found with ID {marker}")
            wanted.append(after(sorts, found))
        query = in_order(select(TaskRow).where(*wanted), sorts).limit(limit)
        return [_task(row) for row in self.session.scalars(query)]

    def forget(self, before: datetime) -> None:
        """Drop those that ended long enough ago."""
        self.session.execute(delete(TaskRow).where(TaskRow.expires_at < before))


def _task(row: TaskRow) -> Task:
    fields = {name: getattr(row, name) for name in FIELDS}
    return Task(**fields | {"status": TaskStatus(row.status)})
