"""Uploads in the database: who may store bytes for an image, how many, and until when they are waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from common.db.types import utc_now
from common.errors import Conflict, TooLarge
from services.image.core.images import Content, Gone, Image, Status
from services.image.db.tables import ImageRow


@dataclass(frozen=True, slots=True)
class Uploads:
    """Queries of one session."""

    session: Session

    def begin(self, image: Image, upload_id: UUID) -> None:
        """From now on only this upload may bring the image's bytes; the caller holds the image locked.  Conflict"""
        if image.status is not Status.QUEUED:
            raise Conflict(f"Image status transition from {image.status} to saving is not allowed")
        self.session.execute(
            update(ImageRow)
            .where(ImageRow.id == image.id)
            .values(status=Status.SAVING, upload_id=upload_id, upload_seen_at=utc_now(), claimed_bytes=0)
        )

    def claim(self, upload_id: UUID, size: int, *, quota: int) -> None:
        """Note that the upload is alive and will hold `size` bytes.  TooLarge beyond the quota, Gone when it is over

        The owner's bytes, arriving ones included, are counted in this transaction; `quota` -1 is none.
        """
        row = self.session.execute(select(ImageRow.owner).where(ImageRow.upload_id == upload_id)).first()
        if row is None:
            raise Gone("The image was deleted, or this upload given up, while its bytes arrived")
        if quota >= 0:
            self._one_at_a_time(row.owner)
            others = self._stored(row.owner, ImageRow.upload_id.is_distinct_from(upload_id))
            if others + size > quota:
                raise TooLarge(f"The project may store {quota} bytes of images and has {others} already")
        self.session.execute(
            update(ImageRow).where(ImageRow.upload_id == upload_id).values(claimed_bytes=size, upload_seen_at=utc_now())
        )

    def finish(self, upload_id: UUID, content: Content) -> None:
        """The image is active with this content.  Gone when it was deleted or given up meanwhile"""
        done = self.session.execute(
            update(ImageRow)
            .where(ImageRow.upload_id == upload_id, ImageRow.status == Status.SAVING)
            .values(
                status=Status.ACTIVE,
                size=content.size,
                virtual_size=content.virtual_size,
                checksum=content.md5,
                os_hash_value=content.sha512,
                claimed_bytes=content.size,
                upload_id=None,
                upload_seen_at=None,
                updated_at=utc_now(),
            )
            .returning(ImageRow.id)
        ).first()
        if done is None:
            raise Gone("The image was deleted, or this upload given up, while its bytes arrived")

    def abandon(self, upload_id: UUID) -> None:
        """The image waits for bytes again; twice is once."""
        self._requeue(ImageRow.upload_id == upload_id)

    def abandon_silent(self, patience_s: float) -> list[UUID]:
        """Do the same with every upload that showed no life for so long; their images."""
        return self._requeue(ImageRow.upload_seen_at < utc_now() - timedelta(seconds=patience_s))

    def alive(self, upload_ids: list[UUID]) -> set[UUID]:
        """Those of these uploads that go on."""
        found = self.session.scalars(select(ImageRow.upload_id).where(ImageRow.upload_id.in_(upload_ids)))
        return {one for one in found if one is not None}

    def _requeue(self, which: ColumnElement[bool]) -> list[UUID]:
        changed = self.session.execute(
            update(ImageRow)
            .where(which, ImageRow.status == Status.SAVING)
            .values(status=Status.QUEUED, claimed_bytes=0, upload_id=None, upload_seen_at=None)
            .returning(ImageRow.id)
        )
        return list(changed.scalars())

    def _stored(self, owner: str | None, which: ColumnElement[bool]) -> int:
        total = select(func.coalesce(func.sum(ImageRow.claimed_bytes), 0)).where(ImageRow.owner == owner, which)
        return int(self.session.execute(total).scalar_one())

    def _one_at_a_time(self, owner: str | None) -> None:
        """Claims of one project wait for each other; SQLite has one writer anyway."""
        if self.session.get_bind().dialect.name == "postgresql":
            self.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner or "", 0))))
