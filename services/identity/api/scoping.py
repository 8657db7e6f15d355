"""What a token is for: finding the scope that was asked for, and the user's roles on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID
from common.errors import Unauthenticated
from services.identity.api.schemas.auth import DomainRef, ProjectRef, ScopePart, expecting
from services.identity.core.scopes import SYSTEM, UNSCOPED, Scope
from services.identity.db import projects, roles
from services.identity.db.projects import Placed
from services.identity.db.tables import Domain, Role, User


@dataclass(frozen=True, slots=True)
class Granted:
    """A scope with the user's roles on it, and the row of what it is."""

    scope: Scope = UNSCOPED
    roles: Sequence[Role] = ()
    placed: Placed | None = None
    domain: Domain | None = None


def granted(session: Session, user: User, asked: ScopePart | str | None) -> Granted:
    """What `user` gets.  Unauthenticated when there is no such scope, it is disabled, or the user has no role on it."""
    if asked is None:
        return _by_default(session, user)
    if isinstance(asked, str):
        return Granted()
    match asked.named():
        case "project":
            return _with_roles(session, user.id, _project(session, asked.project))
        case "domain":
            return _with_roles(session, user.id, _domain(session, asked.domain))
        case "system" if asked.system is not None:
            return _with_roles(session, user.id, Granted(SYSTEM))
        case "unscoped":
            return Granted()
    raise expecting("all", "system")


def still_granted(session: Session, caller: Caller) -> Granted:
    """What an issued token is for, as things are now.  Unauthenticated"""
    if caller.project_id is not None:
        return _with_roles(session, caller.user_id, _of_project(projects.by_id(session, caller.project_id)))
    if caller.domain_id is not None:
        return _with_roles(session, caller.user_id, _of_domain(projects.domain_by(session, domain_id=caller.domain_id)))
    return _with_roles(session, caller.user_id, Granted(SYSTEM)) if caller.is_system else Granted()


def _by_default(session: Session, user: User) -> Granted:
    if user.default_project_id is None:
        return Granted()
    try:
        placed = projects.by_id(session, user.default_project_id)
        return _with_roles(session, user.id, _of_project(placed))
    except Unauthenticated:
        return Granted()


def _with_roles(session: Session, user_id: str, found: Granted) -> Granted:
    held = roles.held(session, user_id, found.scope)
    if not held:
        raise Unauthenticated(NOT_VALID, reason="no role on the scope")
    return Granted(found.scope, held, found.placed, found.domain)


def _project(session: Session, asked: ProjectRef | None) -> Granted:
    if asked is None or (asked.id is None and asked.name is None):
        raise expecting("id or name", "project")
    if asked.id is not None:
        return _of_project(projects.by_id(session, asked.id))
    domain = asked.domain
    if domain is None or (domain.id is None and domain.name is None):
        raise expecting("domain", "project")
    return _of_project(projects.by_name(session, asked.name or "", domain_id=domain.id, domain_name=domain.name))


def _of_project(placed: Placed | None) -> Granted:
    if placed is None or not placed.is_enabled:
        raise Unauthenticated(NOT_VALID, reason="no such project")
    return Granted(Scope.project(placed.project.id), placed=placed)


def _domain(session: Session, asked: DomainRef | None) -> Granted:
    if asked is None or (asked.id is None and asked.name is None):
        raise expecting("id or name", "domain")
    return _of_domain(projects.domain_by(session, domain_id=asked.id, name=asked.name))


def _of_domain(domain: Domain | None) -> Granted:
    if domain is None or not domain.enabled:
        raise Unauthenticated(NOT_VALID, reason="no such domain")
    return Granted(Scope.domain(domain.id), domain=domain)
