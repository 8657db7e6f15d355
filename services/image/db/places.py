"""Which stores hold which image's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from common.saga.tables import UNFINISHED
from services.image.core.images import WITH_BYTES, Gone
from services.image.db.tables import ImageRow, ImageSaga, PlaceRow


@dataclass(frozen=True, slots=True)
class Places:
    """Queries of one session."""

    session: Session

    def wanted(self, store: str, image_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these images whose bytes belong into this store, or may do so in a moment."""
        here = select(PlaceRow.image_id).where(PlaceRow.store == store, PlaceRow.image_id.in_(image_ids))
        soon = select(ImageSaga.resource_id).where(
            ImageSaga.state.in_(UNFINISHED), ImageSaga.resource_id.in_(image_ids)
        )
        arriving = select(ImageRow.id).where(ImageRow.upload_id.is_not(None), ImageRow.id.in_(image_ids))
        return {one for query in (here, soon, arriving) for one in self.session.scalars(query)}

    def of(self, image_id: UUID) -> list[str]:
        return list(self.session.scalars(select(PlaceRow.store).where(PlaceRow.image_id == image_id)))

    def add(self, image_id: UUID, stores: Sequence[str]) -> None:
        """Gone if the image was deleted meanwhile; twice is once."""
        held = select(ImageRow.id).where(ImageRow.id == image_id, ImageRow.status.in_(WITH_BYTES)).with_for_update()
        if self.session.scalar(held) is None:
            raise Gone("The image was deleted while its bytes were copied")
        rows = [{"image_id": image_id, "store": one} for one in stores if one not in self.of(image_id)]
        if rows:
            self.session.execute(insert(PlaceRow), rows)

    def remove(self, image_id: UUID, store: str) -> None:
        self.session.execute(delete(PlaceRow).where(PlaceRow.image_id == image_id, PlaceRow.store == store))
