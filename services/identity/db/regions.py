"""Regions, which may lie in other regions."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Select, delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, Forbidden, InvalidInput
from services.identity.db.catalog import known_region
from services.identity.db.cloud_tables import PolicyAssociation, RegisteredLimit
from services.identity.db.tables import Endpoint, Region


def keep(session: Session, region: Region) -> None:
    """Write a new or changed region.  Conflict when the id is taken; NotFound, InvalidInput: a parent that can't be"""
    if region.parent_region_id is not None:
        known_region(session, region.parent_region_id)
        if region.id in {region.parent_region_id, *session.scalars(_line(region.parent_region_id))}:
            raise InvalidInput(
                f"The specified parent region {region.parent_region_id} would create a circular region hierarchy."
            )
    session.add(region)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {region.id}.") from error


def _line(region_id: str) -> Select[str]:
    """Ids of the region and of all that it lies in."""
    line = select(Region.id, Region.parent_region_id).where(Region.id == region_id).cte("line", recursive=True)
    line = line.union(select(Region.id, Region.parent_region_id).join(line, Region.id == line.c.parent_region_id))
    return select(line.c.id)


def outwards(session: Session, region_id: str | None) -> list[str]:
    """The region and all that it lies in, the nearest first."""
    if region_id is None:
        return []
    query = select(Region.id, Region.parent_region_id).where(Region.id.in_(_line(region_id)))
    return line(region_id, {row.id: row.parent_region_id for row in session.execute(query)})


def parents(session: Session) -> dict[str, str | None]:
    """Region id -> the region that it lies in."""
    return {row.id: row.parent_region_id for row in session.execute(select(Region.id, Region.parent_region_id))}


def line(region_id: str | None, parents: Mapping[str, str | None]) -> list[str]:
    """The same as `outwards`, from what is known."""
    found: list[str] = []
    while region_id is not None:
        found.append(region_id)
        region_id = parents.get(region_id)
    return found


def remove(session: Session, region: Region) -> None:
    """With the regions in it.  Forbidden while anything is there"""
    tree = select(Region.id).where(Region.id == region.id).cte("tree", recursive=True)
    tree = tree.union(select(Region.id).join(tree, Region.parent_region_id == tree.c.id))
    gone = list(session.scalars(select(tree.c.id)))
    used = exists().where(Endpoint.region_id.in_(gone)), exists().where(RegisteredLimit.region_id.in_(gone))
    if any(session.scalar(select(one)) for one in used):
        raise Forbidden(
            f"Unable to delete region {region.id} because it or its child regions have associated endpoints."
        )
    session.execute(delete(PolicyAssociation).where(PolicyAssociation.region_id.in_(gone)))
    session.execute(delete(Region).where(Region.id.in_(gone)))
