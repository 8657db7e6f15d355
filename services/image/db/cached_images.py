"""Which images the cache holds, which it shall fetch, and how they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from common.db.types import utc_now
from services.image.db.tables import CachedRow


@dataclass(frozen=True, slots=True)
class CachedImages:
    """Queries of one session."""

    session: Session

    def want(self, image_id: UUID) -> bool:
        """Have it fetched; False if that was known already."""
        if self.session.get(CachedRow, image_id) is not None:
            return False
        now = utc_now()
        row = {"image_id": image_id, "size": None, "hits": 0, "asked_at": now, "cached_at": None, "used_at": now}
        self.session.execute(insert(CachedRow).values(row))
        return True

    def queued(self) -> list[CachedRow]:
        """Longest waiting first."""
        return list(
            self.session.scalars(select(CachedRow).where(CachedRow.size.is_(None)).order_by(CachedRow.asked_at))
        )

    def cached(self) -> list[CachedRow]:
        """Longest unused first."""
        return list(
            self.session.scalars(select(CachedRow).where(CachedRow.size.is_not(None)).order_by(CachedRow.used_at))
        )

    def known(self) -> set[UUID]:
        return set(self.session.scalars(select(CachedRow.image_id)))

    def arrived(self, image_id: UUID, size: int) -> bool:
        """False if nobody wants it any more."""
        done = self.session.execute(
            update(CachedRow)
            .where(CachedRow.image_id == image_id)
            .values(size=size, cached_at=utc_now(), used_at=utc_now())
            .returning(CachedRow.image_id)
        )
        return done.first() is not None

    def used(self, image_id: UUID) -> None:
        self.session.execute(
            update(CachedRow).where(CachedRow.image_id == image_id).values(hits=CachedRow.hits + 1, used_at=utc_now())
        )

    def forget(self, image_id: UUID) -> bool:
        """False if it was neither cached nor queued."""
        gone = delete(CachedRow).where(CachedRow.image_id == image_id).returning(CachedRow.image_id)
        return self.session.execute(gone).first() is not None

    def clear(self, *, cached: bool, queued: bool) -> None:
        if cached:
            self.session.execute(delete(CachedRow).where(CachedRow.size.is_not(None)))
        if queued:
            self.session.execute(delete(CachedRow).where(CachedRow.size.is_(None)))

    def idle(self, idle_s: float) -> Sequence[UUID]:
        """Those that nobody used for so long."""
        before: datetime = utc_now() - timedelta(seconds=idle_s)
        return self.session.scalars(
            select(CachedRow.image_id).where(CachedRow.size.is_not(None), CachedRow.used_at < before)
        ).all()
