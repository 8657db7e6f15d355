"""Who has which role where: one user's roles on one project, one domain or the system.  Identity API v3, "Roles"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import NotFound
from common.http.identity import Caller
from services.identity.api import roles as role_api
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, listed
from services.identity.api.routing import Router
from services.identity.core.scopes import SYSTEM, Scope
from services.identity.db import projects, roles, users
from services.identity.db.lists import page
from services.identity.db.tables import Project, Role

# fmt: off
RULES = {
    "identity:check_grant":           "rule:reader_above",
    "identity:list_grants":           "rule:reader_above",
    "identity:create_grant":          "rule:admin",
    "identity:revoke_grant":          "rule:admin",
    "identity:list_system_grants_for_user":  "rule:cloud_reader",
    "identity:check_system_grant_for_user":  "rule:cloud_reader",
    "identity:create_system_grant_for_user": "rule:admin",
    "identity:revoke_system_grant_for_user": "rule:admin",
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of thing that roles are given on."""

    path: str  # with {target_id}, but for the system
    rules: str  # part of the rules' names
    scope: Callable[[str], Scope]
    check: Callable[[Session, str], object]  # NotFound unless there is such a thing


PLACES = (
    Place("/v3/projects/{target_id}", "grant", Scope.project, projects.known),
    Place("/v3/domains/{target_id}", "grant", Scope.domain, projects.known_domain),
    Place("/v3/system", "system_grant_for_user", lambda _: SYSTEM, lambda *_: None),
)


def routes(place: Place) -> APIRouter:
    """The operations on the roles that users have there."""
    router = Router()
    path = place.path + "/users/{user_id}/roles"
    noun, plural = place.rules, place.rules.replace("grant", "grants", 1)

    @router.look(path, f"identity:list_{plural}")
    def list_grants(
        request: Request, user_id: str, caller: Caller, kit: KitOf, asked: PageOf, target_id: str = ""
    ) -> Response:
        """The roles that were given there; implied ones are not."""
        with kit.database.reading() as session:
            _may_look(kit, session, f"identity:list_{plural}", caller, place.scope(target_id))
            _known(session, place, target_id, user_id)
            rows, more = page(session, roles.given(user_id, place.scope(target_id)), Role.id, asked)
            shown = [role_api.shown(kit, row) for row in rows]
            return listed(request, kit, "roles", shown, more=more, limit=asked.limit)

    @router.look(path + "/{role_id}", f"identity:check_{noun}", status=204)
    def check_grant(user_id: str, role_id: str, caller: Caller, kit: KitOf, target_id: str = "") -> None:
        scope = place.scope(target_id)
        with kit.database.reading() as session:
            _may_look(kit, session, f"identity:check_{noun}", caller, scope)
            _known(session, place, target_id, user_id, role_id)
            if not roles.is_given(session, user_id, scope, role_id):
                raise _missing(user_id, role_id, scope)

    @router.assign(path + "/{role_id}", f"identity:create_{noun}")
    def give_grant(user_id: str, role_id: str, caller: Caller, kit: KitOf, target_id: str = "") -> None:
        """Twice is once."""
        kit.policy.must(f"identity:create_{noun}", caller, {})
        with kit.database.transaction() as session:
            _known(session, place, target_id, user_id, role_id)
            roles.give(session, user_id, place.scope(target_id), role_id)

    @router.remove(path + "/{role_id}", f"identity:revoke_{noun}")
    def take_grant(user_id: str, role_id: str, caller: Caller, kit: KitOf, target_id: str = "") -> None:
        """Tokens that were issued with the role end."""
        kit.policy.must(f"identity:revoke_{noun}", caller, {})
        scope = place.scope(target_id)
        with kit.database.transaction() as session:
            _known(session, place, target_id, user_id, role_id)
            if not roles.take(session, user_id, scope, role_id):
                raise _missing(user_id, role_id, scope)
            event = kit.revoke(session, user_id=user_id, **_tokens_of(scope))
        kit.bus.tell(event)

    return router


def _may_look(kit: Kit, session: Session, rule: str, caller: Who, scope: Scope) -> None:
    """A reader of a domain sees the domain and what lives in it."""
    domain_id = scope.target_id if scope.kind == "domain" else None
    if scope.kind == "project" and (project := session.get(Project, scope.target_id)):
        domain_id = project.domain_id
    kit.policy.must(rule, caller, {"domain_id": domain_id})


def _known(session: Session, place: Place, target_id: str, user_id: str, role_id: str | None = None) -> None:
    if role_id is not None:
        roles.known(session, role_id)
    place.check(session, target_id)
    users.known(session, user_id)


def _tokens_of(scope: Scope) -> dict[str, str]:
    """Which of the user's tokens are for this scope; for the system, all of them."""
    return {} if scope.kind == "system" else {f"{scope.kind}_id": scope.target_id}


def _missing(user_id: str, role_id: str, scope: Scope) -> NotFound:
    return NotFound(
        f"Could not find role assignment with role: {role_id}, user or group: {user_id}, "
        f"project, domain, or system: {scope.target_id}."
    )


ROUTERS = tuple(routes(place) for place in PLACES)
