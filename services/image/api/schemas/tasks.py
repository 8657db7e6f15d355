"""Tasks on the wire."""

from __future__ import annotations

from typing import Any

from services.image.api.schemas.images import stamped
from services.image.core.tasks import Task, TaskStatus


def listed(task: Task) -> dict[str, Any]:
    """As in lists: without what it was asked and what came of it."""
    answer = {
        "id": str(task.id),
        "type": task.type,
        "status": str(task.status),
        "owner": task.owner,
        "created_at": stamped(task.created_at),
        "updated_at": stamped(task.updated_at),
        "image_id": str(task.image_id),
        "request_id": task.request_id,
        "user_id": task.user_id,
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
    }
    if task.expires_at is not None:
        answer["expires_at"] = stamped(task.expires_at)
    return answer


def shown(task: Task) -> dict[str, Any]:
    result = {"image_id": str(task.image_id)} if task.status is TaskStatus.SUCCESS else None
    return listed(task) | {"input": task.input, "result": result, "message": task.message}
