"""Projects, and domains where they are shown as projects.  Identity API v3, "Projects"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import ColumnElement, false, select
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import Forbidden, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api import domains as domain_api
from services.identity.api.changing import change, refuse_immutable
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for, reach, wants
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.projects import ChangedProject, NewProject, ProjectBody, ProjectChangeBody
from services.identity.api.targets import home_of, object_in
from services.identity.api.trees import VIEWS, relatives
from services.identity.contract import TokenRevoked
from services.identity.db import hierarchy, projects, tags, users
from services.identity.db.lists import matching
from services.identity.db.tables import Domain, Project

router = Router()

# fmt: off
RULES = {
    "identity:get_project":          "rule:reader_above or project_id:%(project_id)s",
    "identity:list_projects":        "rule:reader_above",
    "identity:list_user_projects":   "rule:reader_above or rule:owner",
    "identity:create_project":       "rule:manager_above",
    "identity:update_project":       "rule:manager_above",
    "identity:delete_project":       "rule:manager_above",
}

FILTERS = {
    "name": Project.name, "domain_id": Project.domain_id, "parent_id": Project.parent_id, "enabled": Project.enabled,
}
# fmt: on
TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")


def all_shown(kit: Kit, session: Session, found: Sequence[Project]) -> list[dict[str, Any]]:
    """With their tags, which cost one query."""
    tagged = tags.of_projects(session, [project.id for project in found])
    return [shown(kit, project, tagged[project.id]) for project in found]


def all_domains_shown(kit: Kit, session: Session, found: Sequence[Domain]) -> list[dict[str, Any]]:
    tagged = tags.of_domains(session, [domain.id for domain in found])
    return [shown(kit, domain, tagged[domain.id]) for domain in found]


def shown(kit: Kit, place: Project | Domain, tags: Sequence[str]) -> dict[str, Any]:
    """A domain has neither a domain nor a parent."""
    return {
        **place.extra,
        "id": place.id,
        "name": place.name,
        "domain_id": place.domain_id if isinstance(place, Project) else None,
        "description": place.description,
        "enabled": place.enabled,
        "parent_id": place.parent_id if isinstance(place, Project) else None,
        "is_domain": isinstance(place, Domain),
        "tags": tags,
        "options": place.options,
        "links": {"self": f"{kit.url}/projects/{place.id}"},
    }


@router.look("/v3/projects", "identity:list_projects", filters=(*FILTERS, "is_domain", *TAG_FILTERS))
def list_projects(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """Domains only when `is_domain` asks for them, and then no others."""
    domain_id = reach(kit, "identity:list_projects", caller, request.query_params.get("domain_id"))
    if wants(request.query_params.get("is_domain")):
        found = select(Domain).where(*domain_api.wanted(request), *_tagged(request, Domain))
        if domain_id is not None or "parent_id" in request.query_params:
            found = found.where(false())
        return answer(request, kit, "projects", found, Domain.id, asked, partial(all_domains_shown, kit))
    query = matching(select(Project), {Project.domain_id: domain_id})
    query = query.where(*asked_for(request, FILTERS), *_tagged(request, Project))
    return answer(request, kit, "projects", query, Project.id, asked, partial(all_shown, kit))


def _tagged(request: Request, kind: type[Project] | type[Domain]) -> list[ColumnElement[bool]]:
    asked = [(how, request.query_params[how]) for how in TAG_FILTERS if how in request.query_params]
    return [tags.having(kind, text.split(","), how=how) for how, text in asked]


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


@router.look("/v3/projects/{project_id}", "identity:get_project", filters=VIEWS)
def show_project(request: Request, project_id: str, caller: Caller, kit: KitOf) -> Response:
    """With the tree above or below it, as the query asks."""
    with kit.database.reading() as session:
        place = allowed(kit, session, "identity:get_project", caller, project_id)
        body = shown(kit, place, tags.of(session, place))
        body |= relatives(request, session, place, caller.user_id, partial(all_shown, kit))
    return Json({"project": body})


@router.make("/v3/projects", "identity:create_project", takes=ProjectBody)
def create_project(body: Body, caller: Caller, kit: KitOf) -> Response:
    """With `is_domain`, a domain."""
    is_domain = bool(object_in(body, "project").get("is_domain"))
    domain_id = home_of(body, "project", caller)
    kit.policy.must("identity:create_project", caller, {"domain_id": None if is_domain else domain_id})
    asked = parsed(ProjectBody, body).project
    with kit.database.transaction() as session:
        place = _new_domain(session, asked) if asked.is_domain else _new(kit, session, domain_id, asked)
        tags.replace(session, place, asked.tags)
        made = shown(kit, place, tags.of(session, place))
    return Json({"project": made}, 201)


@router.change("/v3/projects/{project_id}", "identity:update_project", takes=ProjectChangeBody)
def update_project(project_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Who has a token for a project that is being disabled has none any more."""
    with kit.database.transaction() as session:
        place = allowed(kit, session, "identity:update_project", caller, project_id, locked=True)
        asked: ChangedProject = change(ProjectChangeBody, body, "project", project_id)
        _keeps_its_place(place, asked)
        if isinstance(place, Domain):
            event = domain_api.take_over(kit, session, place, asked)
        else:
            event = _take_over(kit, session, place, asked)
        changed = shown(kit, place, tags.of(session, place))
    if event:
        kit.bus.tell(event)
    return Json({"project": changed})


@router.remove("/v3/projects/{project_id}", "identity:delete_project")
def delete_project(project_id: str, caller: Caller, kit: KitOf) -> None:
    """With all that hangs on it; its tokens end."""
    with kit.database.transaction() as session:
        place = allowed(kit, session, "identity:delete_project", caller, project_id, locked=True)
        if isinstance(place, Domain):
            event = domain_api.end(kit, session, place)
        else:
            refuse_immutable("delete", "project", place)
            projects.remove(session, place)
            event = kit.revoke(session, project_id=project_id)
    kit.bus.tell(event)


def allowed(
    kit: Kit, session: Session, rule: str, caller: Who, project_id: str, *, locked: bool = False
) -> Project | Domain:
    """Forbidden before NotFound, so that nobody learns which projects there are."""
    found = session.get(Project, project_id)
    kit.policy.must(rule, caller, {"project_id": project_id, "domain_id": found.domain_id if found else None})
    return projects.place(session, project_id, locked=locked)


def _new_domain(session: Session, asked: NewProject) -> Domain:
    if asked.parent_id or asked.domain_id:
        raise InvalidInput("only root projects are allowed to act as domains.")
    return domain_api.new(session, uuid4().hex, asked.name, asked)


def _new(kit: Kit, session: Session, domain_id: str, asked: NewProject) -> Project:
    parent_id = asked.parent_id or domain_id
    try:
        domain = projects.known_domain(session, domain_id)
        parent = projects.place(session, parent_id)
    except NotFound as error:
        raise InvalidInput(error.message) from error
    _fits_below(kit, session, domain, parent)
    project = Project(
        id=uuid4().hex,
        domain_id=domain_id,
        name=asked.name,
        description=asked.description or "",
        enabled=asked.enabled,
        parent_id=parent_id,
        options=asked.options.laid_over({}),
        extra=asked.additions(),
    )
    projects.keep(session, project)
    return project


def _fits_below(kit: Kit, session: Session, domain: Domain, parent: Project | Domain) -> None:
    if isinstance(parent, Domain):
        if parent is not domain:
            raise InvalidInput(
                f"Cannot create project, the parent ({parent.id}) is acting as a domain, but this project's domain id "
                f"({domain.id}) does not match the parent's id."
            )
        line: list[Project] = []
    else:
        if parent.domain_id != domain.id:
            raise InvalidInput(
                f"Cannot create project, since it specifies its domain_id {domain.id}, but specifies a parent in a "
                f"different domain ({parent.domain_id})."
            )
        line = [parent, *hierarchy.above(session, parent.id)]
    branch: list[Project | Domain] = [domain, *reversed(line)]
    if disabled := next((one for one in branch if not one.enabled), None):
        raise InvalidInput(f"cannot create a project in a branch containing a disabled project: {disabled.id}")
    if len(line) >= kit.settings.max_project_tree_depth:
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch.")


def _keeps_its_place(place: Project | Domain, asked: ChangedProject) -> None:
    """Forbidden, InvalidInput"""
    own_domain, own_parent = (place.domain_id, place.parent_id) if isinstance(place, Project) else (None, None)
    if asked.given("domain_id").get("domain_id", own_domain) != own_domain:
        raise InvalidInput("Cannot change Domain ID")
    if asked.given("parent_id").get("parent_id", own_parent) != own_parent:
        raise Forbidden("Update of `parent_id` is not allowed.")
    is_domain = isinstance(place, Domain)
    if asked.given("is_domain").get("is_domain", is_domain) != is_domain:
        raise InvalidInput("Update of `is_domain` is not allowed.")


def _take_over(kit: Kit, session: Session, project: Project, asked: ChangedProject) -> TokenRevoked | None:
    """What to tell when it is disabled now."""
    refuse_immutable("update", "project", project, asked)
    was_enabled = project.enabled
    for name, value in asked.given("name", "description", "enabled").items():
        setattr(project, name, value or "" if name == "description" else value)
    if was_enabled != project.enabled:
        _may_switch(session, project)
    project.options = asked.options.laid_over(project.options)
    project.extra = project.extra | asked.additions()
    projects.keep(session, project)
    if "tags" in asked.model_fields_set:
        tags.replace(session, project, asked.tags)
    return kit.revoke(session, project_id=project.id) if was_enabled and not project.enabled else None


def _may_switch(session: Session, project: Project) -> None:
    """Nothing enabled is below what is disabled.  Forbidden"""
    if project.enabled and not all(one.enabled for one in hierarchy.above(session, project.id)):
        raise Forbidden(f"Cannot enable project {project.id} since it has disabled parents")
    if not project.enabled and any(one.enabled for one in hierarchy.below(session, project.id)):
        raise Forbidden(f"Cannot disable project {project.id} since its subtree contains enabled projects.")
