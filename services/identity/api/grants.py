"""Who has which role where: users' and groups' roles on a project, a domain or the system.

Ten shapes of one thing: each place × each actor, and on projects and domains the same again for roles that count on the projects
below.  Identity API v3, "Roles" and "OS-INHERIT".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import Forbidden, InvalidInput, NotFound
from common.http.identity import Caller
from services.identity.api import roles as role_api
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, listed
from services.identity.api.lost_roles import after_taking
from services.identity.api.routing import Router
from services.identity.contract import TokenRevoked
from services.identity.core.scopes import SYSTEM, Scope
from services.identity.db import grants, projects, roles
from services.identity.db.grants import Actor, Grant
from services.identity.db.lists import page
from services.identity.db.tables import Domain, Group, Project, Role, User

# fmt: off
RULES = {
    "actor_in_own_domain":  "domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s",
    "place_in_own_domain":  "domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s",
    "grant_in_own_domain":  "rule:actor_in_own_domain and rule:place_in_own_domain",
    "role_of_own_domain":   "domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s",
    "identity:check_grant":   "rule:cloud_reader or (role:reader and rule:grant_in_own_domain and rule:role_of_own_domain)",
    "identity:list_grants":   "rule:cloud_reader or (role:reader and rule:grant_in_own_domain)",
    "identity:create_grant":  "rule:admin or (role:manager and rule:grant_in_own_domain and rule:domain_managed_target_role)",
    "identity:revoke_grant":  "rule:admin or (role:manager and rule:grant_in_own_domain and rule:domain_managed_target_role)",
    "identity:list_system_grants_for_user":    "rule:cloud_reader",
    "identity:check_system_grant_for_user":    "rule:cloud_reader",
    "identity:create_system_grant_for_user":   "rule:admin",
    "identity:revoke_system_grant_for_user":   "rule:admin",
    "identity:list_system_grants_for_group":   "rule:cloud_reader",
    "identity:check_system_grant_for_group":   "rule:cloud_reader",
    "identity:create_system_grant_for_group":  "rule:admin",
    "identity:revoke_system_grant_for_group":  "rule:admin",
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of thing that roles are given on."""

    path: str  # with {target_id}, but for the system
    scope: Callable[[str], Scope]


PLACES = (
    Place("/projects/{target_id}", Scope.project),
    Place("/domains/{target_id}", Scope.domain),
    Place("/system", lambda _: SYSTEM),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One address under which roles are given: on what, to whom, for itself or for what lives below."""

    place: Place
    actor: Actor
    inherited: bool

    @property
    def path(self) -> str:
        above = "/v3/OS-INHERIT" if self.inherited else "/v3"
        return f"{above}{self.place.path}/{self.actor}s/{{actor_id}}/roles"

    @property
    def ending(self) -> str:
        return "/inherited_to_projects" if self.inherited else ""

    def rule(self, verb: str) -> str:
        noun = "grants" if verb == "list" else "grant"
        return (
            f"identity:{verb}_{noun}" if "{" in self.place.path else f"identity:{verb}_system_{noun}_for_{self.actor}"
        )

    def grant(self, actor_id: str, target_id: str) -> Grant:
        return Grant(self.actor, actor_id, self.place.scope(target_id), self.inherited)


SHAPES = (
    *(Shape(place, actor, False) for place in PLACES for actor in ("user", "group")),
    *(Shape(place, actor, True) for place in PLACES[:2] for actor in ("user", "group")),
)


def routes(shape: Shape) -> APIRouter:
    """The operations on the roles that are given so."""
    router = Router()
    every, one = shape.path + shape.ending, shape.path + "/{role_id}" + shape.ending

    @router.look(every, shape.rule("list"))
    def list_grants(
        request: Request, actor_id: str, caller: Caller, kit: KitOf, asked: PageOf, target_id: str = ""
    ) -> Response:
        """The roles that were given there; implied ones are not."""
        grant = shape.grant(actor_id, target_id)
        with kit.database.reading() as session:
            _allowed(kit, session, shape.rule("list"), caller, grant)
            rows, more = page(session, grants.given(grant), Role.id, asked)
            shown = [role_api.shown(kit, row) for row in rows]
            return listed(request, kit, "roles", shown, more=more, limit=asked.limit)

    @router.look(one, shape.rule("check"), status=204)
    def check_grant(actor_id: str, role_id: str, caller: Caller, kit: KitOf, target_id: str = "") -> None:
        grant = shape.grant(actor_id, target_id)
        with kit.database.reading() as session:
            _allowed(kit, session, shape.rule("check"), caller, grant, role_id)
            if not grants.is_given(session, grant, role_id):
                raise _missing(grant, role_id)

    @router.assign(one, shape.rule("create"))
    def give_grant(actor_id: str, role_id: str, caller: Caller, kit: KitOf, target_id: str = "") -> None:
        """Twice is once."""
        grant = shape.grant(actor_id, target_id)
        with kit.database.transaction() as session:
            _allowed(kit, session, shape.rule("create"), caller, grant, role_id)
            _fitting(session, roles.known(session, role_id), grant.scope)
            grants.give(session, grant, role_id)

    @router.remove(one, shape.rule("revoke"))
    def take_grant(actor_id: str, role_id: str, caller: Caller, kit: KitOf, target_id: str = "") -> None:
        """Tokens that carry the role because of it end."""
        with kit.database.transaction() as session:
            events = _taken(kit, session, shape.rule("revoke"), caller, shape.grant(actor_id, target_id), role_id)
        for event in events:
            kit.bus.tell(event)

    return router


def _taken(kit: Kit, session: Session, rule: str, caller: Who, grant: Grant, role_id: str) -> Sequence[TokenRevoked]:
    _allowed(kit, session, rule, caller, grant, role_id)
    if not grants.take(session, grant, role_id):
        raise _missing(grant, role_id)
    return after_taking(kit, session, grant, roles.known(session, role_id))


def _allowed(kit: Kit, session: Session, rule: str, caller: Who, grant: Grant, role_id: str | None = None) -> None:
    """Forbidden by the rule; then NotFound for what there is not, so that nobody else learns of it."""
    role = session.get(Role, role_id) if role_id is not None else None
    actor = session.get(User, grant.actor_id) if grant.actor == "user" else session.get(Group, grant.actor_id)
    project = session.get(Project, grant.scope.target_id) if grant.scope.kind == "project" else None
    domain = session.get(Domain, grant.scope.target_id) if grant.scope.kind == "domain" else None
    target: dict[str, str | None] = {}
    if role is not None:
        target |= {"target.role.name": role.name, "target.role.domain_id": role.domain_id}
    if actor is not None:
        target[f"target.{grant.actor}.domain_id"] = actor.domain_id
    if project is not None:
        target["target.project.domain_id"] = project.domain_id
    if domain is not None:
        target["target.domain.id"] = domain.id
    kit.policy.must(rule, caller, target)
    if role_id is not None:
        roles.known(session, role_id)
    if grant.scope.kind == "project":
        projects.known(session, grant.scope.target_id)
    if grant.scope.kind == "domain":
        projects.known_domain(session, grant.scope.target_id)
    if actor is None:
        raise NotFound(f"Could not find {grant.actor}: {grant.actor_id}.")


def _fitting(session: Session, role: Role, scope: Scope) -> None:
    """A domain's own role is given nowhere else.  Forbidden, InvalidInput"""
    if role.domain_id is None:
        return
    if scope.kind == "system":
        raise InvalidInput(
            f"Role {role.id} is a domain-specific role. Unable to use a domain-specific role in a system assignment."
        )
    if scope.kind == "project" and projects.known(session, scope.target_id).domain_id != role.domain_id:
        raise Forbidden(f"Project {scope.target_id} must be in the same domain as the role {role.id} being assigned.")
    if scope.kind == "domain" and scope.target_id != role.domain_id:
        raise Forbidden(f"Domain {scope.target_id} must be the domain of the role {role.id} being assigned.")


def _missing(grant: Grant, role_id: str) -> NotFound:
    return NotFound(
        f"Could not find role assignment with role: {role_id}, user or group: {grant.actor_id}, "
        f"project, domain, or system: {grant.scope.target_id}."
    )


ROUTERS = tuple(routes(shape) for shape in SHAPES)
