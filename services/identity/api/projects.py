"""Projects.  Identity API v3, "Projects"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import false, select
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for, reach, wants
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.projects import NewProject, ProjectBody
from services.identity.db import projects, tags, users
from services.identity.db.lists import matching
from services.identity.db.tables import Project

router = Router()

# fmt: off
RULES = {
    "identity:get_project":          "rule:reader_above or project_id:%(project_id)s",
    "identity:list_projects":        "rule:reader_above",
    "identity:list_user_projects":   "rule:reader_above or rule:owner",
    "identity:create_project":       "rule:admin",
    "identity:delete_project":       "rule:admin",
}
# fmt: on


# fmt: off
FILTERS = {
    "name": Project.name, "domain_id": Project.domain_id, "parent_id": Project.parent_id, "enabled": Project.enabled,
}
# fmt: on


def all_shown(kit: Kit, session: Session, found: Sequence[Project]) -> list[dict[str, Any]]:
    """With their tags, which cost one query."""
    tagged = tags.of_projects(session, [project.id for project in found])
    return [shown(kit, project, tagged[project.id]) for project in found]


def shown(kit: Kit, project: Project, tags: Sequence[str]) -> dict[str, Any]:
    return {
        **project.extra,
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": project.parent_id,
        "is_domain": False,
        "tags": tags,
        "options": project.options,
        "links": {"self": f"{kit.url}/projects/{project.id}"},
    }


@router.look("/v3/projects", "identity:list_projects", filters=(*FILTERS, "is_domain"))
def list_projects(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    domain_id = reach(kit, "identity:list_projects", caller, request.query_params.get("domain_id"))
    query = matching(select(Project), {Project.domain_id: domain_id}).where(*asked_for(request, FILTERS))
    if wants(request.query_params.get("is_domain")):
        query = query.where(false())
    return answer(request, kit, "projects", query, Project.id, asked, partial(all_shown, kit))


@router.look("/v3/users/{user_id}/projects", "identity:list_user_projects", filters=FILTERS)
def list_projects_of_user(request: Request, user_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """Those on which the user has a role."""
    with kit.database.reading() as session:
        member = users.by_id(session, user_id)
        target = {"user_id": user_id, "domain_id": member.domain.id if member else None}
        kit.policy.must("identity:list_user_projects", caller, target)
        users.known(session, user_id)
    query = projects.of_user(user_id).where(*asked_for(request, FILTERS))
    return answer(request, kit, "projects", query, Project.id, asked, partial(all_shown, kit))


@router.look("/v3/projects/{project_id}", "identity:get_project")
def show_project(project_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        placed = projects.by_id(session, project_id)
        target = {"project_id": project_id, "domain_id": placed.domain.id if placed else None}
        kit.policy.must("identity:get_project", caller, target)
        [project] = all_shown(kit, session, [projects.known(session, project_id)])
    return Json({"project": project})


@router.make("/v3/projects", "identity:create_project", takes=ProjectBody)
def create_project(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_project", caller, {})
    asked = parsed(ProjectBody, body).project
    with kit.database.transaction() as session:
        project = _new(session, caller, asked)
        projects.add(session, project)
        tags.replace(session, project.id, asked.tags)
        [made] = all_shown(kit, session, [project])
    return Json({"project": made}, 201)


@router.remove("/v3/projects/{project_id}", "identity:delete_project")
def delete_project(project_id: str, caller: Caller, kit: KitOf) -> None:
    """With the roles on it; its tokens end."""
    kit.policy.must("identity:delete_project", caller, {})
    with kit.database.transaction() as session:
        projects.remove(session, projects.known(session, project_id))
        event = kit.revoke(session, project_id=project_id)
    kit.bus.tell(event)


def _new(session: Session, caller: Who, asked: NewProject) -> Project:
    parent = session.get(Project, asked.parent_id) if asked.parent_id else None
    domain_id = asked.domain_id or (parent.domain_id if parent else own_domain(caller))
    projects.known_domain(session, domain_id)
    if asked.parent_id not in (None, domain_id):
        parent = projects.known(session, asked.parent_id)
        if parent.domain_id != domain_id:
            raise InvalidInput("The parent project lives in another domain.")
    return Project(
        id=uuid4().hex,
        domain_id=domain_id,
        name=asked.name,
        description=asked.description or "",
        enabled=asked.enabled,
        parent_id=asked.parent_id or domain_id,
        options={},
        extra=asked.additions(),
    )


def own_domain(caller: Who) -> str:
    """The domain that something new is put into when none is named."""
    return caller.domain_id or caller.project_domain_id or caller.user_domain_id
