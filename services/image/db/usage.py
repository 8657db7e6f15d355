"""What a project uses of its quotas, bytes in flight included."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from services.image.core.images import Status
from services.image.core.quotas import Quotas
from services.image.db.tables import ImageRow
from services.image.db.uploads import STAGED


@dataclass(frozen=True, slots=True)
class Usage:
    """Queries of one session."""

    session: Session

    def of(self, project_id: str | None) -> Quotas:
        is_staged = ImageRow.status.in_(STAGED)
        row = self.session.execute(
            select(
                func.coalesce(func.sum(ImageRow.claimed_bytes), 0),
                func.coalesce(func.sum(case((is_staged, ImageRow.claimed_bytes), else_=0)), 0),
                func.count(),
                func.coalesce(func.sum(case((is_staged | (ImageRow.status == Status.SAVING), 1), else_=0)), 0),
            ).where(ImageRow.owner == project_id)
        ).one()
        size, staged, images, uploading = map(int, row)
        return Quotas(size_bytes=size, staged_bytes=staged, images=images, uploading=uploading)
