"""Tags of projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from services.identity.db.tables import ProjectTag


def of_projects(session: Session, project_ids: Sequence[str]) -> Mapping[str, list[str]]:
    """Project id -> its tags in their order; in one query for all of them."""
    found: dict[str, list[str]] = {project_id: [] for project_id in project_ids}
    query = select(ProjectTag.project_id, ProjectTag.tag).where(ProjectTag.project_id.in_(project_ids))
    for project_id, tag in session.execute(query.order_by(ProjectTag.tag)):
        found[project_id].append(tag)
    return found


def replace(session: Session, project_id: str, tags: Iterable[str]) -> None:
    session.execute(delete(ProjectTag).where(ProjectTag.project_id == project_id))
    session.add_all(ProjectTag(project_id=project_id, tag=tag) for tag in dict.fromkeys(tags))
    session.flush()
