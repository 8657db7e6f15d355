"""What is above and below a project.  A project without a parent project has its domain as its parent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.identity.db.tables import Project


def above(session: Session, project_id: str) -> Sequence[Project]:
    """The projects above it, the nearest first; without the domain."""
    line = select(Project.id, Project.parent_id).where(Project.id == project_id).cte("line", recursive=True)
    line = line.union(select(Project.id, Project.parent_id).join(line, Project.id == line.c.parent_id))
    wanted = select(Project).where(Project.id.in_(select(line.c.id)), Project.id != project_id)
    found = {one.id: one for one in session.scalars(wanted)}
    own = session.get(Project, project_id)
    return _in_order(found, own.parent_id if own else "")


def _in_order(found: dict[str, Project], nearest: str) -> list[Project]:
    line: list[Project] = []
    while nearest in found:
        line.append(found[nearest])
        nearest = found[nearest].parent_id
    return line


def below(session: Session, root_id: str) -> Sequence[Project]:
    """All projects below a project or a domain, in the order of their ids."""
    tree = select(Project.id).where(Project.parent_id == root_id).cte("tree", recursive=True)
    tree = tree.union(select(Project.id).join(tree, Project.parent_id == tree.c.id))
    return session.scalars(select(Project).where(Project.id.in_(select(tree.c.id))).order_by(Project.id)).all()
