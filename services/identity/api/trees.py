"""What is above and below a project, as `GET /v3/projects/{id}` shows it when asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session

from common.errors import InvalidInput
from services.identity.api.lists import wants
from services.identity.core.hierarchy import downwards, upwards
from services.identity.db import hierarchy, projects
from services.identity.db.tables import Domain, Project

VIEWS = ("parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids")

Shown = Callable[[Session, Sequence[Project]], list[dict[str, Any]]]


def relatives(
    request: Request, session: Session, place: Project | Domain, user_id: str, shown: Shown
) -> dict[str, Any]:
    """As ids: all of them.  As a list: those on which the user has a role.  InvalidInput for both at once"""
    asked = {name for name in VIEWS if wants(request.query_params.get(name))}
    for one, other in (VIEWS[:2], VIEWS[2:]):
        if {one, other} <= asked:
            raise InvalidInput(f"Cannot use {one} and {other} query params at the same time.")
    found: dict[str, Any] = {}
    if "parents_as_list" in asked:
        found["parents"] = shown(session, _seen(session, hierarchy.above(session, place.id), user_id))
    if "parents_as_ids" in asked:
        found["parents"] = _parents(session, place)
    if "subtree_as_list" in asked:
        found["subtree"] = shown(session, _seen(session, hierarchy.below(session, place.id), user_id))
    if "subtree_as_ids" in asked:
        edges = [(one.parent_id, one.id) for one in hierarchy.below(session, place.id)]
        found["subtree"] = downwards(place.id, edges)
    return found


def _parents(session: Session, place: Project | Domain) -> dict[str, Any] | None:
    """Up to the domain."""
    if isinstance(place, Domain):
        return None
    return upwards([*(one.id for one in hierarchy.above(session, place.id)), place.domain_id])


def _seen(session: Session, found: Sequence[Project], user_id: str) -> list[Project]:
    reachable = {one.id for one in session.scalars(projects.of_user(user_id))}
    return [one for one in found if one.id in reachable]
