"""Unified limits: what every project may have of a resource, and what single projects and domains may have instead."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, Forbidden, NotFound
from services.identity.db.cloud_tables import Limit, RegisteredLimit
from services.identity.db.tables import Project


def known_registered(session: Session, limit_id: str) -> RegisteredLimit:
    """NotFound, in Keystone's words."""
    if (limit := session.get(RegisteredLimit, limit_id)) is None:
        raise NotFound(f"Could not find registered limit for {limit_id}.")
    return limit


def keep_registered(session: Session, limit: RegisteredLimit) -> None:
    """Conflict when there is one for the same resource."""
    session.add(limit)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("Conflict occurred attempting to store registered_limit - Duplicate entry.") from error


def refuse_if_used(session: Session, limit: RegisteredLimit, verb: str) -> None:
    """Forbidden while a project or a domain has a limit of its own instead of this one."""
    if session.scalar(select(exists().where(Limit.registered_limit_id == limit.id))):
        raise Forbidden(
            f"Unable to {verb} registered limit {limit.id} because there are project limits associated with it."
        )


def registered_for(session: Session, service_id: str, region_id: str | None, resource_name: str) -> str | None:
    """The id of what is registered for this resource."""
    same = (
        RegisteredLimit.service_id == service_id,
        RegisteredLimit.region_id == (region_id or ""),
        RegisteredLimit.resource_name == resource_name,
    )
    return session.scalar(select(RegisteredLimit.id).where(*same))


def known(session: Session, limit_id: str) -> Limit:
    """NotFound, in Keystone's words."""
    if (limit := session.get(Limit, limit_id)) is None:
        raise NotFound(f"Could not find limit for {limit_id}.")
    return limit


def keep(session: Session, limit: Limit) -> None:
    """Conflict when its project or domain has one for the same resource."""
    session.add(limit)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("Conflict occurred attempting to store limit - Duplicate entry.") from error


def those() -> Select[Limit]:
    """Limits, with what they replace at hand for conditions."""
    return select(Limit).join(RegisteredLimit, RegisteredLimit.id == Limit.registered_limit_id)


def of_project(project_id: str) -> ColumnElement[bool]:
    return and_(Limit.owner == "project", Limit.owner_id == project_id)


def of_domain(domain_id: str) -> ColumnElement[bool]:
    return and_(Limit.owner == "domain", Limit.owner_id == domain_id)


def within(domain_id: str) -> ColumnElement[bool]:
    """The domain's own, and those of its projects."""
    own = select(Project.id).where(Project.domain_id == domain_id)
    return or_(of_domain(domain_id), and_(Limit.owner == "project", Limit.owner_id.in_(own)))


def replaced(session: Session, limits: Sequence[Limit]) -> dict[str, RegisteredLimit]:
    """Registered limit id -> what is registered; in one query for all."""
    ids = {limit.registered_limit_id for limit in limits}
    return {one.id: one for one in session.scalars(select(RegisteredLimit).where(RegisteredLimit.id.in_(ids)))}
