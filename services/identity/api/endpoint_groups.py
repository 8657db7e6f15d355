"""Groups of endpoints, and the projects that see them.  Identity API v3 extension OS-EP-FILTER."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.errors import NotFound
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api import endpoints as endpoint_api
from services.identity.api import projects as project_api
from services.identity.api.changing import change
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.catalog import ChangedEndpointGroup, EndpointGroupBody, EndpointGroupChangeBody
from services.identity.db import endpoint_filters, projects
from services.identity.db.cloud_tables import EndpointGroup, ProjectEndpointGroup
from services.identity.db.tables import Endpoint, Project

router = Router()

# fmt: off
RULES = {
    "identity:create_endpoint_group":                        "rule:admin",
    "identity:list_endpoint_groups":                         "rule:cloud_reader",
    "identity:get_endpoint_group":                           "rule:cloud_reader",
    "identity:update_endpoint_group":                        "rule:admin",
    "identity:delete_endpoint_group":                        "rule:admin",
    "identity:list_projects_associated_with_endpoint_group":  "rule:cloud_reader",
    "identity:list_endpoints_associated_with_endpoint_group": "rule:cloud_reader",
    "identity:get_endpoint_group_in_project":                "rule:cloud_reader",
    "identity:list_endpoint_groups_for_project":             "rule:cloud_reader",
    "identity:add_endpoint_group_to_project":                "rule:admin",
    "identity:remove_endpoint_group_from_project":           "rule:admin",
}
# fmt: on

GROUPS = "/v3/OS-EP-FILTER/endpoint_groups"
GROUP = GROUPS + "/{endpoint_group_id}"
IN_PROJECT = GROUP + "/projects/{project_id}"
FILTERS = {"name": EndpointGroup.name}


def shown(kit: Kit, group: EndpointGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "filters": group.filters,
        "links": {"self": f"{kit.url}/OS-EP-FILTER/endpoint_groups/{group.id}"},
    }


def all_shown(kit: Kit, session: Session, found: Sequence[EndpointGroup]) -> list[dict[str, Any]]:
    return [shown(kit, group) for group in found]


@router.look(GROUPS, "identity:list_endpoint_groups", filters=FILTERS)
def list_endpoint_groups(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_endpoint_groups", caller)
    query = select(EndpointGroup).where(*asked_for(request, FILTERS))
    return answer(request, kit, "endpoint_groups", query, EndpointGroup.id, asked, partial(all_shown, kit))


@router.look(GROUP, "identity:get_endpoint_group")
def show_endpoint_group(endpoint_group_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_endpoint_group", caller)
    with kit.database.reading() as session:
        return Json({"endpoint_group": shown(kit, endpoint_filters.known_group(session, endpoint_group_id))})


@router.make(GROUPS, "identity:create_endpoint_group", takes=EndpointGroupBody)
def create_endpoint_group(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_endpoint_group", caller, {})
    asked = parsed(EndpointGroupBody, body).endpoint_group
    group = EndpointGroup(
        id=uuid4().hex, name=asked.name, description=asked.description, filters=asked.filters.written()
    )
    with kit.database.transaction() as session:
        session.add(group)
    return Json({"endpoint_group": shown(kit, group)}, 201)


@router.change(GROUP, "identity:update_endpoint_group", takes=EndpointGroupChangeBody)
def update_endpoint_group(endpoint_group_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:update_endpoint_group", caller, {})
    with kit.database.transaction() as session:
        group = endpoint_filters.known_group(session, endpoint_group_id)
        asked: ChangedEndpointGroup = change(EndpointGroupChangeBody, body, "endpoint_group", endpoint_group_id)
        if asked.name is not None:
            group.name = asked.name
        if "description" in asked.model_fields_set:
            group.description = asked.description
        if asked.filters is not None:
            group.filters = asked.filters.written()
    return Json({"endpoint_group": shown(kit, group)})


@router.remove(GROUP, "identity:delete_endpoint_group")
def delete_endpoint_group(endpoint_group_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:delete_endpoint_group", caller, {})
    with kit.database.transaction() as session:
        endpoint_filters.remove_group(session, endpoint_filters.known_group(session, endpoint_group_id))


@router.look(GROUP + "/endpoints", "identity:list_endpoints_associated_with_endpoint_group")
def list_endpoints_of_group(
    request: Request, endpoint_group_id: str, caller: Caller, kit: KitOf, asked: PageOf
) -> Response:
    kit.policy.must("identity:list_endpoints_associated_with_endpoint_group", caller)
    with kit.database.reading() as session:
        query = endpoint_filters.endpoints_of_group(endpoint_filters.known_group(session, endpoint_group_id))
    return answer(request, kit, "endpoints", query, Endpoint.id, asked, partial(endpoint_api.all_shown, kit))


@router.look(GROUP + "/projects", "identity:list_projects_associated_with_endpoint_group")
def list_projects_of_group(
    request: Request, endpoint_group_id: str, caller: Caller, kit: KitOf, asked: PageOf
) -> Response:
    kit.policy.must("identity:list_projects_associated_with_endpoint_group", caller)
    with kit.database.reading() as session:
        endpoint_filters.known_group(session, endpoint_group_id)
    query = endpoint_filters.projects_of_group(endpoint_group_id)
    return answer(request, kit, "projects", query, Project.id, asked, partial(project_api.all_shown, kit))


@router.look("/v3/OS-EP-FILTER/projects/{project_id}/endpoint_groups", "identity:list_endpoint_groups_for_project")
def list_groups_of_project(request: Request, project_id: str, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:list_endpoint_groups_for_project", caller)
    with kit.database.reading() as session:
        projects.known(session, project_id)
    query = endpoint_filters.groups_of_project(project_id)
    return answer(request, kit, "endpoint_groups", query, EndpointGroup.id, asked, partial(all_shown, kit))


@router.look(IN_PROJECT, "identity:get_endpoint_group_in_project")
def check_group_in_project(endpoint_group_id: str, project_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:get_endpoint_group_in_project", caller)
    with kit.database.reading() as session:
        _known(session, endpoint_group_id, project_id)
        if session.get(ProjectEndpointGroup, (project_id, endpoint_group_id)) is None:
            raise _missing(endpoint_group_id, project_id)
    body = {
        "endpoint_group_id": endpoint_group_id,
        "project_id": project_id,
        "links": {"self": f"{kit.url}/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}"},
    }
    return Json({"project_endpoint_group": body})


@router.assign(IN_PROJECT, "identity:add_endpoint_group_to_project")
def add_group_to_project(endpoint_group_id: str, project_id: str, caller: Caller, kit: KitOf) -> None:
    """Twice is once."""
    kit.policy.must("identity:add_endpoint_group_to_project", caller, {})
    with kit.database.transaction() as session:
        _known(session, endpoint_group_id, project_id)
        endpoint_filters.give(session, ProjectEndpointGroup(project_id=project_id, group_id=endpoint_group_id))


@router.remove(IN_PROJECT, "identity:remove_endpoint_group_from_project")
def remove_group_from_project(endpoint_group_id: str, project_id: str, caller: Caller, kit: KitOf) -> None:
    kit.policy.must("identity:remove_endpoint_group_from_project", caller, {})
    with kit.database.transaction() as session:
        _known(session, endpoint_group_id, project_id)
        if not endpoint_filters.take(session, ProjectEndpointGroup, project_id, endpoint_group_id):
            raise _missing(endpoint_group_id, project_id)


def _known(session: Session, endpoint_group_id: str, project_id: str) -> None:
    projects.known(session, project_id)
    endpoint_filters.known_group(session, endpoint_group_id)


def _missing(endpoint_group_id: str, project_id: str) -> NotFound:
    return NotFound(f"Endpoint Group {endpoint_group_id} is not associated with project {project_id}.")
