"""Tags of a project.  Identity API v3, "Project tags"."""

from __future__ import annotations

from fastapi import Request, Response
from pydantic import BaseModel

from common.errors import NotFound
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.projects import allowed
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.projects import Tag, TagsBody
from services.identity.db import tags

router = Router()

# fmt: off
RULES = {
    "identity:list_project_tags":    "rule:reader_above or project_id:%(project_id)s",
    "identity:get_project_tag":      "rule:reader_above or project_id:%(project_id)s",
    "identity:update_project_tags":  "rule:manager_above",
    "identity:create_project_tag":   "rule:manager_above",
    "identity:delete_project_tags":  "rule:manager_above",
    "identity:delete_project_tag":   "rule:manager_above",
}
# fmt: on


class _OneTag(BaseModel):
    tag: Tag


@router.look("/v3/projects/{project_id}/tags", "identity:list_project_tags")
def list_tags(request: Request, project_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        found = tags.of(session, allowed(kit, session, "identity:list_project_tags", caller, project_id))
    return Json({"links": {"self": _self(kit, request)}, "tags": found})


@router.assign("/v3/projects/{project_id}/tags", "identity:update_project_tags", takes=TagsBody, status=200)
def replace_tags(request: Request, project_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    with kit.database.transaction() as session:
        place = allowed(kit, session, "identity:update_project_tags", caller, project_id, locked=True)
        tags.replace(session, place, parsed(TagsBody, body).tags)
        found = tags.of(session, place)
    return Json({"links": {"self": _self(kit, request)}, "tags": found})


@router.remove("/v3/projects/{project_id}/tags", "identity:delete_project_tags")
def remove_tags(project_id: str, caller: Caller, kit: KitOf) -> None:
    with kit.database.transaction() as session:
        place = allowed(kit, session, "identity:delete_project_tags", caller, project_id, locked=True)
        tags.replace(session, place, ())


@router.look("/v3/projects/{project_id}/tags/{value}", "identity:get_project_tag", status=204)
def check_tag(project_id: str, value: str, caller: Caller, kit: KitOf) -> None:
    with kit.database.reading() as session:
        place = allowed(kit, session, "identity:get_project_tag", caller, project_id)
        if value not in tags.of(session, place):
            raise _missing(value)


@router.assign("/v3/projects/{project_id}/tags/{value}", "identity:create_project_tag", status=201)
def add_tag(request: Request, project_id: str, value: str, caller: Caller, kit: KitOf) -> Response:
    """Twice is once."""
    with kit.database.transaction() as session:
        place = allowed(kit, session, "identity:create_project_tag", caller, project_id, locked=True)
        tag = parsed(_OneTag, {"tag": value}).tag
        present = tags.of(session, place)
        tags.replace(session, place, parsed(TagsBody, {"tags": list(dict.fromkeys([*present, tag]))}).tags)
    return Response(status_code=201, headers={"location": _self(kit, request)}, media_type="text/html")


@router.remove("/v3/projects/{project_id}/tags/{value}", "identity:delete_project_tag")
def remove_tag(project_id: str, value: str, caller: Caller, kit: KitOf) -> None:
    with kit.database.transaction() as session:
        place = allowed(kit, session, "identity:delete_project_tag", caller, project_id, locked=True)
        present = tags.of(session, place)
        if value not in present:
            raise _missing(value)
        tags.replace(session, place, (tag for tag in present if tag != value))


def _self(kit: Kit, request: Request) -> str:
    """This address as the client sees it, written as ASCII."""
    path = request.scope["raw_path"].decode("ascii") if "raw_path" in request.scope else request.url.path
    return kit.url + path.partition("?")[0].removeprefix("/v3")


def _missing(tag: str) -> NotFound:
    return NotFound(f"Could not find project tag: {tag}.")
