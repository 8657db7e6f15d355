"""Uploads in the database: who may store bytes for an image, how many, and until when they are waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, insert, not_, or_, select, update
from sqlalchemy.orm import Session

from common.db.types import utc_now
from common.errors import Conflict, TooLarge
from common.saga.tables import UNFINISHED
from services.image.core.images import Content, Gone, Image, Staged, Status
from services.image.core.ranges import Part, RangeNotSatisfiable
from services.image.db.tables import ImageRow, ImageSaga, PlaceRow, StagedRow

ARRIVING = (Status.SAVING, Status.UPLOADING)
NO_UPLOAD: dict[str, Any] = dict.fromkeys(("upload_id", "upload_seen_at", "upload_total", "part_id"))
STAGED = (Status.UPLOADING, Status.IMPORTING)
OVER = "The image was deleted, or this upload given up, while its bytes arrived"


@dataclass(frozen=True, slots=True)
class Uploads:
    """Queries of one session."""

    session: Session

    def begin(self, image: Image, upload_id: UUID, status: Status = Status.SAVING, *, total: int | None = None) -> None:
        """From now on only this upload may bring the image's bytes; the caller holds the image locked.  Conflict"""
        if image.status is not Status.QUEUED:
            raise Conflict(f"Image status transition from {image.status} to {status} is not allowed")
        self.session.execute(
            update(ImageRow)
            .where(ImageRow.id == image.id)
            .values(
                status=status,
                upload_id=upload_id,
                upload_seen_at=utc_now(),
                claimed_bytes=0,
                upload_total=total,
                part_id=None,
            )
        )

    def bring(self, image: Image, part: Part, part_id: UUID, *, patience_s: float) -> UUID:
        """The upload that takes this range; the caller holds the image locked.  Conflict, RangeNotSatisfiable

        One range at a time: another that is not heard of for `patience_s` has lost its turn.
        """
        chosen = select(ImageRow.upload_id, ImageRow.upload_total, ImageRow.part_id, ImageRow.upload_seen_at)
        row = self.session.execute(chosen.where(ImageRow.id == image.id)).one()
        if image.status is Status.QUEUED:
            raise RangeNotSatisfiable("There are 0 bytes of this upload; the next range must begin there")
        if image.status is not Status.SAVING or row.upload_id is None:
            raise Conflict(f"Image status transition from {image.status} to {Status.SAVING} is not allowed")
        if row.upload_total is None:
            raise Conflict("The image's bytes arrive in one piece just now")
        if row.upload_total != part.total:
            raise Conflict(f"This upload will have {row.upload_total} bytes, not {part.total}")
        if row.part_id is not None and row.upload_seen_at > utc_now() - timedelta(seconds=patience_s):
            raise Conflict("Another range of this upload arrives just now")
        self.session.execute(
            update(ImageRow).where(ImageRow.id == image.id).values(part_id=part_id, upload_seen_at=utc_now())
        )
        upload_id: UUID = row.upload_id
        return upload_id

    def must_be_bringing(self, upload_id: UUID, part_id: UUID) -> None:
        """Gone when another request has taken this one's turn"""
        row = select(ImageRow.id).where(ImageRow.upload_id == upload_id, ImageRow.part_id == part_id)
        if self.session.execute(row).first() is None:
            raise Gone(OVER)

    def rest(self, upload_id: UUID, part_id: UUID) -> None:
        """This range is over; the next may come."""
        its = and_(ImageRow.upload_id == upload_id, ImageRow.part_id == part_id)
        self.session.execute(update(ImageRow).where(its).values(part_id=None, upload_seen_at=utc_now()))

    def in_ranges(self, image_id: UUID) -> UUID | None:
        """The upload in ranges that the image waits for."""
        its = select(ImageRow.upload_id).where(ImageRow.id == image_id, ImageRow.upload_total.is_not(None))
        return self.session.scalar(its)

    def claim(self, upload_id: UUID, size: int, *, quota: int, staging_room: int = -1, staged: int = -1) -> None:
        """Note that the upload is alive and will hold `size` bytes.  TooLarge beyond the quota, Gone when it is over

        The owner's bytes, arriving ones included, are counted in this transaction; -1 is no bound.
        For bytes that go into the staging area, `staging_room` is its size and `staged` what the owner may have of it.
        """
        row = self.session.execute(select(ImageRow.owner).where(ImageRow.upload_id == upload_id)).first()
        if row is None:
            raise Gone(OVER)
        if staging_room >= 0:
            others = self._claimed(ImageRow.status.in_(STAGED), ImageRow.upload_id.is_distinct_from(upload_id))
            if others + size > staging_room:
                raise TooLarge("There is no room left in the staging area")
        its_owners = (ImageRow.owner == row.owner, ImageRow.upload_id.is_distinct_from(upload_id))
        if quota >= 0 or staged >= 0:
            self._one_at_a_time(row.owner)
        if quota >= 0 and (others := self._claimed(*its_owners)) + size > quota:
            raise TooLarge(f"The project may store {quota} bytes of images and has {others} already")
        if staged >= 0 and (others := self._claimed(*its_owners, ImageRow.status.in_(STAGED))) + size > staged:
            raise TooLarge(f"The project may stage {staged} bytes of images and has {others} already")
        self.session.execute(
            update(ImageRow).where(ImageRow.upload_id == upload_id).values(claimed_bytes=size, upload_seen_at=utc_now())
        )

    def claim_import(self, image_id: UUID, size: int, *, quota: int) -> None:
        """The image being imported will hold `size` bytes.  TooLarge beyond the quota, Gone when it was deleted"""
        its = (ImageRow.id == image_id, ImageRow.status == Status.IMPORTING)
        row = self.session.execute(select(ImageRow.owner).where(*its)).first()
        if row is None:
            raise Gone(OVER)
        if quota >= 0:
            self._one_at_a_time(row.owner)
            others = self._claimed(ImageRow.owner == row.owner, ImageRow.id != image_id)
            if others + size > quota:
                raise TooLarge(f"The project may store {quota} bytes of images and has {others} already")
        self.session.execute(update(ImageRow).where(*its, ImageRow.claimed_bytes < size).values(claimed_bytes=size))

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
                **NO_UPLOAD,
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

    def abandon_silent(self, patience_s: float, *, in_ranges_s: float) -> list[UUID]:
        """Do the same with every upload that showed no life for so long; their images."""
        now, in_ranges = utc_now(), ImageRow.upload_total.is_not(None)
        silent = or_(
            and_(ImageRow.upload_seen_at < now - timedelta(seconds=patience_s), not_(in_ranges)),
            and_(ImageRow.upload_seen_at < now - timedelta(seconds=in_ranges_s), in_ranges),
        )
        return self._requeue(and_(silent, ImageRow.status.in_(ARRIVING)))

    def alive(self, upload_ids: list[UUID]) -> set[UUID]:
        """Those of these uploads that go on; a saga's files are named after it."""
        found = self.session.scalars(select(ImageRow.upload_id).where(ImageRow.upload_id.in_(upload_ids)))
        sagas = select(ImageSaga.id).where(ImageSaga.id.in_(upload_ids), ImageSaga.state.in_(UNFINISHED))
        return {*(one for one in found if one is not None), *self.session.scalars(sagas)}

    def under_way(self, image_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these images that an upload or an import brings bytes for."""
        uploads = select(ImageRow.id).where(ImageRow.id.in_(image_ids), ImageRow.upload_id.is_not(None))
        sagas = select(ImageSaga.resource_id).where(
            ImageSaga.resource_id.in_(image_ids), ImageSaga.state.in_(UNFINISHED)
        )
        return {*self.session.scalars(uploads), *self.session.scalars(sagas)}

    def others(self, image_id: UUID, upload_id: UUID) -> bool:
        """Whether another upload than this one brings bytes for the image."""
        its = (ImageRow.id == image_id, ImageRow.upload_id.is_not(None), ImageRow.upload_id != upload_id)
        return self.session.execute(select(ImageRow.id).where(*its)).first() is not None

    def _requeue(self, which: ColumnElement[bool]) -> list[UUID]:
        changed = self.session.execute(
            update(ImageRow)
            .where(which)
            .values(status=Status.QUEUED, claimed_bytes=0, **NO_UPLOAD)
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
