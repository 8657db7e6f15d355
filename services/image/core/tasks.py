"""Long work as users see it.  Image API reference, v2, "Tasks"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

KEPT_FOR = timedelta(hours=48)  # after its end


class TaskStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    id: UUID
    type: str
    status: TaskStatus
    owner: str | None
    user_id: str | None
    request_id: str | None
    image_id: UUID
    input: dict[str, Any]
    message: str
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
