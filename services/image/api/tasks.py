"""Tasks, for administrators: imports of the whole site, and imports that make the image, too."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from common.errors import InvalidInput, NotFound
from common.http.identity import Caller, authenticated
from common.http.invalid import parsed
from common.http.json import Json, json_body
from common.http.operations import operation
from services.image.api.imports import ImportBody, ImportMethod, start
from services.image.api.kit import KitOf
from services.image.api.schemas.images import Text, attributes_of
from services.image.api.schemas.tasks import listed, shown
from services.image.core.imports import WEB
from services.image.core.listing import LARGEST_PAGE, as_uuid
from services.image.core.patches import refuse_untouchable
from services.image.core.web_addresses import checked
from services.image.db.images import Images
from services.image.db.tasks import Tasks

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

Body = Annotated[Any, Depends(json_body)]

SORT_KEYS = ("created_at", "updated_at", "expires_at", "id", "status", "type")
FILTERS = ("type", "status", "limit", "marker", "sort_key", "sort_dir")
PAGE = 25


class TaskInput(BaseModel):
    model_config = ConfigDict(extra="allow")

    import_from: Text
    image_properties: dict[str, Any]


class NewTask(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["import"]
    input: TaskInput


@router.get("/v2/tasks")
@operation("tasks_api_access", "get_tasks", filters=FILTERS)
def list_tasks(request: Request, caller: Caller, kit: KitOf) -> Response:
    """Newest first unless told otherwise."""
    for rule in ("tasks_api_access", "get_tasks"):
        kit.policy.must(rule, caller)
    query = dict(request.query_params)
    sort, direction = query.get("sort_key", "created_at"), query.get("sort_dir", "desc")
    if sort not in SORT_KEYS or direction not in ("asc", "desc"):
        raise InvalidInput(f"Invalid sort key or direction: {sort[:80]} {direction[:80]}")
    limit, marker = _limit(query.get("limit")), query.get("marker")
    if marker is not None and as_uuid(marker) is None:
        raise InvalidInput(f"No task found with ID {marker[:80]}")
    with kit.database.reading() as session:
        tasks = Tasks(session).page(
            type=query.get("type"),
            status=query.get("status"),
            limit=limit,
            marker=as_uuid(marker) if marker else None,
            sort=sort,
            descends=direction == "desc",
        )
    kept = {name: value for name, value in query.items() if name != "marker"}
    answer = {"tasks": [listed(one) for one in tasks], "first": _link(kept), "schema": "/v2/schemas/tasks"}
    if tasks and len(tasks) == limit:
        answer["next"] = _link(kept | {"marker": str(tasks[-1].id)})
    return Json(answer)


@router.get("/v2/tasks/{task_id}")
@operation("tasks_api_access", "get_task")
def show_task(task_id: str, caller: Caller, kit: KitOf) -> Response:
    for rule in ("tasks_api_access", "get_task"):
        kit.policy.must(rule, caller)
    if (found := as_uuid(task_id)) is None:
        raise NotFound(f"Task {task_id[:80]} not found")
    with kit.database.reading() as session:
        task = Tasks(session).one(found)
    return Json(shown(task))


@router.post("/v2/tasks", status_code=201)
@operation("tasks_api_access", "add_task", takes=NewTask)
def create_task(body: Body, caller: Caller, kit: KitOf) -> Response:
    """Make an image from what the web has."""
    for rule in ("tasks_api_access", "add_task"):
        kit.policy.must(rule, caller)
    asked = parsed(NewTask, body)
    checked(asked.input.import_from, kit.settings.web_rules())
    for name in asked.input.image_properties:
        refuse_untouchable(name)
    limits = kit.settings
    wanted = {"owner": caller.project_id, **asked.input.image_properties}
    attributes = attributes_of(wanted, max_properties=limits.max_properties, max_tags=limits.max_tags)
    if attributes.disk_format is None or attributes.container_format is None:
        raise InvalidInput("The image's disk_format and container_format must be given")
    method = ImportBody(method=ImportMethod(name=WEB, uri=asked.input.import_from))
    with kit.database.transaction() as session:
        image = Images(session).add(uuid4(), attributes)
        told = asked.input.model_dump(mode="json")
        task = start(session, kit, caller, image, method, (kit.stores.default_id,), kind="import", told=told)
    return Json(shown(task), 201, {"location": f"{kit.public_url}/v2/tasks/{task.id}"})


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInput("limit param must be an integer")
    return max(1, min(int(text), LARGEST_PAGE))


def _link(query: dict[str, str]) -> str:
    return f"/v2/tasks?{urlencode(query)}" if query else "/v2/tasks"
