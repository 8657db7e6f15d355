"""Endpoints chosen for projects one by one.  Identity API v3 extension OS-EP-FILTER."""

from __future__ import annotations

from functools import partial

from fastapi import Request, Response
from sqlalchemy.orm import Session

from common.errors import NotFound
from common.http.identity import Caller
from services.identity.api import endpoints as endpoint_api
from services.identity.api import projects as project_api
from services.identity.api.kit import KitOf
from services.identity.api.lists import PageOf, answer
from services.identity.api.routing import Router
from services.identity.db import catalog, endpoint_filters, projects
from services.identity.db.cloud_tables import ProjectEndpoint
from services.identity.db.tables import Endpoint, Project

router = Router()

# fmt: off
RULES = {
    "identity:list_projects_for_endpoint":    "rule:cloud_reader",
    "identity:list_endpoints_for_project":    "rule:cloud_reader",
    "identity:check_endpoint_in_project":     "rule:cloud_reader",
    "identity:add_endpoint_to_project":       "rule:admin",
    "identity:remove_endpoint_from_project":  "rule:admin",
}
# fmt: on

ENDPOINTS = "/v3/OS-EP-FILTER/projects/{project_id}/endpoints"
ENDPOINT = ENDPOINTS + "/{endpoint_id}"


@router.look(ENDPOINTS, "identity:list_endpoints_for_project")
def list_endpoints_of_project(request: Request, project_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    """Those chosen one by one or by group."""
    kit.policy.must("identity:list_endpoints_for_project", caller)
    with kit.database.reading() as session:
        projects.known(session, project_id)
        query = endpoint_filters.endpoints_of_project(session, project_id)
    return answer(request, kit, "endpoints", query, Endpoint.id, asked, partial(endpoint_api.all_shown, kit))


@router.look("/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects", "identity:list_projects_for_endpoint")
def list_projects_of_endpoint(
    request: Request, endpoint_id: str, caller: Caller, kit: KitOf, asked: PageOf
) -> Response:
    kit.policy.must("identity:list_projects_for_endpoint", caller)
    with kit.database.reading() as session:
        query = endpoint_filters.projects_of_endpoint(session, catalog.known_endpoint(session, endpoint_id))
    return answer(request, kit, "projects", query, Project.id, asked, partial(project_api.all_shown, kit))


@router.look(ENDPOINT, "identity:check_endpoint_in_project", status=204)
def check_endpoint_in_project(project_id: str, endpoint_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:check_endpoint_in_project", caller)
    with kit.database.reading() as session:
        _known(session, project_id, endpoint_id)
        if session.get(ProjectEndpoint, (project_id, endpoint_id)) is None:
            raise _missing(project_id, endpoint_id)


@router.assign(ENDPOINT, "identity:add_endpoint_to_project")
def add_endpoint_to_project(project_id: str, endpoint_id: str, caller: Caller, kit: KitOf) -> None:
    """Twice is once."""
    kit.policy.must("identity:add_endpoint_to_project", caller, {})
    with kit.database.transaction() as session:
        _known(session, project_id, endpoint_id)
        endpoint_filters.give(session, ProjectEndpoint(project_id=project_id, endpoint_id=endpoint_id))


@router.remove(ENDPOINT, "identity:remove_endpoint_from_project")
def remove_endpoint_from_project(project_id: str, endpoint_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:remove_endpoint_from_project", caller, {})
    with kit.database.transaction() as session:
        if not endpoint_filters.take(session, ProjectEndpoint, project_id, endpoint_id):
            raise _missing(project_id, endpoint_id)


def _known(session: Session, project_id: str, endpoint_id: str) -> None:
    catalog.known_endpoint(session, endpoint_id)
    projects.known(session, project_id)


def _missing(project_id: str, endpoint_id: str) -> NotFound:
    return NotFound(f"Endpoint {endpoint_id} not found in project {project_id}.")
