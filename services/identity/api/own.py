"""What a token's holder may see and scope to: `/v3/auth/…`.  Identity API v3, "Authentication and token management"."""

from __future__ import annotations

from functools import partial

from fastapi import Request, Response

from common.errors import Forbidden
from common.http.identity import Caller
from common.http.json import Json
from services.identity.api import domains as domain_api
from services.identity.api import projects as project_api
from services.identity.api.kit import KitOf
from services.identity.api.lists import PageOf, answer
from services.identity.api.routing import Router
from services.identity.api.token_bodies import catalog_body
from services.identity.core.scopes import SYSTEM
from services.identity.db import projects, roles
from services.identity.db.tables import Domain, Project

router = Router()

# fmt: off
RULES = {
    "identity:get_auth_catalog":   "rule:everybody",
    "identity:get_auth_projects":  "rule:everybody",
    "identity:get_auth_domains":   "rule:everybody",
    "identity:get_auth_system":    "rule:everybody",
}
# fmt: on


@router.look("/v3/auth/catalog", "identity:get_auth_catalog")
def show_catalog(caller: Caller, kit: KitOf) -> Response:
    """The same catalog that a scoped token carries."""
    kit.policy.must("identity:get_auth_catalog", caller)
    if not (caller.project_id or caller.domain_id or caller.is_system):
        raise Forbidden("You are not authorized to perform the requested action: identity:get_auth_catalog.")
    with kit.database.reading() as session:
        return Json({"catalog": catalog_body(session, caller), "links": {"self": f"{kit.url}/auth/catalog"}})


@router.look("/v3/auth/projects", "identity:get_auth_projects")
def list_own_projects(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:get_auth_projects", caller)
    query = projects.open_to(caller.user_id)
    return answer(request, kit, "projects", query, Project.id, asked, partial(project_api.all_shown, kit))


@router.look("/v3/auth/domains", "identity:get_auth_domains")
def list_own_domains(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    kit.policy.must("identity:get_auth_domains", caller)
    query = projects.domains_open_to(caller.user_id)
    return answer(request, kit, "domains", query, Domain.id, asked, partial(domain_api.all_shown, kit))


@router.look("/v3/auth/system", "identity:get_auth_system")
def show_own_system(caller: Caller, kit: KitOf) -> Response:
    """Whether the user may have a token for the whole system."""
    kit.policy.must("identity:get_auth_system", caller)
    with kit.database.reading() as session:
        held = roles.held(session, caller.user_id, SYSTEM)
    return Json({"system": [{"all": True}] if held else [], "links": {"self": f"{kit.url}/auth/system"}})
