"""Uploads in the database: who may store bytes for an image, how many, and until when they are waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from common.db.types import utc_now
from common.errors import Conflict, TooLarge
from common.saga.tables import UNFINISHED
from services.image.core.images import Content, Gone, Image, Staged, Status
from services.image.db.tables import ImageRow, ImageSaga, PlaceRow, StagedRow

ARRIVING = (Status.SAVING, Status.UPLOADING)
STAGED = (Status.UPLOADING, Status.IMPORTING)
OVER = "The image was deleted, or this upload given up, while its bytes arrived"


@dataclass(frozen=True, slots=True)
class Uploads:
    """Queries of one session."""

    session: Session

    def begin(self, image: Image, upload_id: UUID, status: Status = Status.SAVING) -> None:
        """From now on only this upload may bring the image's bytes; the caller holds the image locked.  Conflict"""
        if image.status is not Status.QUEUED:
            raise Conflict(f"Image status transition from {image.status} to {status} is not allowed")
        self.session.execute(
            update(ImageRow)
            .where(ImageRow.id == image.id)
            .values(status=status, upload_id=upload_id, upload_seen_at=utc_now(), claimed_bytes=0)
        )

    def claim(self, upload_id: UUID, size: int, *, quota: int, staging_room: int = -1) -> None:
        """Note that the upload is alive and will hold `size` bytes.  TooLarge beyond the quota, Gone when it is over

        The owner's bytes, arriving ones included, are counted in this transaction; -1 is no bound.
        `staging_room` is the size of the staging area, for bytes that go there.
        """
        row = self.session.execute(select(ImageRow.owner).where(ImageRow.upload_id == upload_id)).first()
        if row is None:
            raise Gone(OVER)
        if staging_room >= 0:
            others = self._claimed(ImageRow.status.in_(STAGED), ImageRow.upload_id.is_distinct_from(upload_id))
            if others + size > staging_room:
                raise TooLarge("There is no room left in the staging area")
        if quota >= 0:
            self._one_at_a_time(row.owner)
            others = self._claimed(ImageRow.owner == row.owner, ImageRow.upload_id.is_distinct_from(upload_id))
            if others + size > quota:
                raise TooLarge(f"The project may store {quota} bytes of images and has {others} already")
        self.session.execute(
            update(ImageRow).where(ImageRow.upload_id == upload_id).values(claimed_bytes=size, upload_seen_at=utc_now())
        )

    def finish(self, upload_id: UUID, content: Content, store: str) -> None:
        """The image is active with this content.  Gone when it was deleted or given up meanwhile"""
        self._activate(and_(ImageRow.upload_id == upload_id, ImageRow.status == Status.SAVING), content, [store])

    def finish_import(self, image_id: UUID, content: Content, stores: Sequence[str]) -> None:
        """The same for bytes that were staged."""
        self._activate(and_(ImageRow.id == image_id, ImageRow.status == Status.IMPORTING), content, stores)
        self.session.execute(delete(StagedRow).where(StagedRow.image_id == image_id))

    def stage(self, upload_id: UUID, staged: Staged) -> None:
        """The bytes wait for an import.  Gone when the image was deleted or the upload given up meanwhile"""
        done = self.session.execute(
            update(ImageRow)
            .where(ImageRow.upload_id == upload_id)
            .values(claimed_bytes=staged.size, upload_id=None, upload_seen_at=None)
            .returning(ImageRow.id)
        ).first()
        if done is None:
            raise Gone(OVER)
        row = {"image_id": done.id, "size": staged.size, "md5": staged.md5, "sha512": staged.sha512}
        self.session.execute(insert(StagedRow).values(row))

    def staged(self, image_id: UUID) -> Staged | None:
        row = self.session.get(StagedRow, image_id)
        return None if row is None else Staged(size=row.size, md5=row.md5, sha512=row.sha512)

    def waiting(self, image_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these images whose bytes are in the staging area."""
        return set(self.session.scalars(select(StagedRow.image_id).where(StagedRow.image_id.in_(image_ids))))

    def give_up_import(self, image_id: UUID) -> None:
        """The image waits for bytes again; twice is once."""
        self.session.execute(delete(StagedRow).where(StagedRow.image_id == image_id))
        self._requeue(and_(ImageRow.id == image_id, ImageRow.status == Status.IMPORTING))

    def _activate(self, which: ColumnElement[bool], content: Content, stores: Sequence[str]) -> None:
        done = self.session.execute(
            update(ImageRow)
            .where(which)
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
            raise Gone(OVER)
        self.session.execute(insert(PlaceRow), [{"image_id": done.id, "store": store} for store in stores])

    def abandon(self, upload_id: UUID) -> None:
        """The image waits for bytes again; twice is once."""
        self._requeue(and_(ImageRow.upload_id == upload_id, ImageRow.status.in_(ARRIVING)))

    def abandon_silent(self, patience_s: float) -> list[UUID]:
        """Do the same with every upload that showed no life for so long; their images."""
        silent = ImageRow.upload_seen_at < utc_now() - timedelta(seconds=patience_s)
        return self._requeue(and_(silent, ImageRow.status.in_(ARRIVING)))

    def alive(self, upload_ids: list[UUID]) -> set[UUID]:
        """Those of these uploads that go on; a saga's files are named after it."""
        found = self.session.scalars(select(ImageRow.upload_id).where(ImageRow.upload_id.in_(upload_ids)))
        sagas = select(ImageSaga.id).where(ImageSaga.id.in_(upload_ids), ImageSaga.state.in_(UNFINISHED))
        return {*(one for one in found if one is not None), *self.session.scalars(sagas)}

    def _requeue(self, which: ColumnElement[bool]) -> list[UUID]:
        changed = self.session.execute(
            update(ImageRow)
            .where(which)
            .values(status=Status.QUEUED, claimed_bytes=0, upload_id=None, upload_seen_at=None)
            .returning(ImageRow.id)
        )
        return list(changed.scalars())

    def _claimed(self, *which: ColumnElement[bool]) -> int:
        total = select(func.coalesce(func.sum(ImageRow.claimed_bytes), 0)).where(*which)
        return int(self.session.execute(total).scalar_one())

    def _one_at_a_time(self, owner: str | None) -> None:
        """Claims of one project wait for each other; SQLite has one writer anyway."""
        if self.session.get_bind().dialect.name == "postgresql":
            self.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner or "", 0))))
