"""Queries on limits: a project's own where it has them, the defaults elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.orm import Session

from services.compute.db.tables import QuotaRow

_OF_PROJECT = select(QuotaRow.resource, QuotaRow.most).where(QuotaRow.project_id == bindparam("project_id"))
"""Built once: each new server asks this."""


class Quotas:
    """Within one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_project(self, project_id: str, defaults: Mapping[str, int]) -> dict[str, int]:
        """Resource -> how much of it the project may have."""
        own = self._session.connection().execute(_OF_PROJECT, {"project_id": project_id}).all()
        return dict(defaults) | {row.resource: row.most for row in own if row.resource in defaults}

    def change(self, project_id: str, most: Mapping[str, int]) -> None:
        mine = QuotaRow.project_id == project_id
        self._session.execute(delete(QuotaRow).where(mine, QuotaRow.resource.in_(list(most))))
        if most:
            rows = [{"project_id": project_id, "resource": name, "most": value} for name, value in most.items()]
            self._session.execute(insert(QuotaRow), rows)

    def forget(self, project_id: str) -> None:
        """Back to the defaults."""
        self._session.execute(delete(QuotaRow).where(QuotaRow.project_id == project_id))
