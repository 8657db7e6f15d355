"""Projects.  Identity API v3, "Projects"."""

from __future__ import annotations

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
from services.identity.api.lists import PageOf, flag, listed, reach, wants
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.projects import NewProject, ProjectBody
from services.identity.db import projects, users
from services.identity.db.lists import matching, page
from services.identity.db.tables import Project

router = Router()


def shown(kit: Kit, project: Project) -> dict[str, Any]:
    return {
        **project.extra,
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": project.parent_id,
        "is_domain": False,
        "tags": project.tags,
        "options": {},
        "links": {"self": f"{kit.url}/projects/{project.id}"},
    }


@router.look("/v3/projects")
def list_projects(
    request: Request,
    caller: Caller,
    kit: KitOf,
    asked: PageOf,
    name: str | None = None,
    domain_id: str | None = None,
    parent_id: str | None = None,
    enabled: str | None = None,
    is_domain: str | None = None,
) -> Response:
    domain_id = reach(kit, "identity:list_projects", caller, domain_id)
    filters = {Project.name: name, Project.domain_id: domain_id, Project.parent_id: parent_id}
    query = matching(select(Project), filters | {Project.enabled: flag(enabled)})
    if wants(is_domain):
        query = query.where(false())
    with kit.database.reading() as session:
        rows, more = page(session, query, Project.id, asked)
        return listed(request, kit, "projects", [shown(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/users/{user_id}/projects")
def list_projects_of_user(
    request: Request,
    user_id: str,
    caller: Caller,
    kit: KitOf,
    asked: PageOf,
    name: str | None = None,
    domain_id: str | None = None,
    enabled: str | None = None,
) -> Response:
    """Those on which the user has a role."""
    filters = {Project.name: name, Project.domain_id: domain_id, Project.enabled: flag(enabled)}
    with kit.database.reading() as session:
        member = users.by_id(session, user_id)
        target = {"user_id": user_id, "domain_id": member.domain.id if member else None}
        kit.policy.must("identity:list_user_projects", caller, target)
        users.known(session, user_id)
        rows, more = page(session, matching(projects.of_user(user_id), filters), Project.id, asked)
        return listed(request, kit, "projects", [shown(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/projects/{project_id}")
def show_project(project_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        placed = projects.by_id(session, project_id)
        target = {"project_id": project_id, "domain_id": placed.domain.id if placed else None}
        kit.policy.must("identity:get_project", caller, target)
        return Json({"project": shown(kit, projects.known(session, project_id))})


@router.post("/v3/projects", response_model=None)
def create_project(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_project", caller, {})
    asked = parsed(ProjectBody, body).project
    with kit.database.transaction() as session:
        project = _new(session, caller, asked)
        projects.add(session, project)
    return Json({"project": shown(kit, project)}, 201)


@router.delete("/v3/projects/{project_id}", status_code=204, response_class=Response, response_model=None)
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
        tags=list(dict.fromkeys(asked.tags)),
        extra=asked.additions(),
    )


def own_domain(caller: Who) -> str:
    """The domain that something new is put into when none is named."""
    return caller.domain_id or caller.project_domain_id or caller.user_domain_id
