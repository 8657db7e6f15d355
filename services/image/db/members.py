"""Members of images in the database."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.db.types import utc_now
from common.errors import Conflict, NotFound, TooLarge
from services.image.core.members import Answer, Member
from services.image.db.tables import MemberRow


@dataclass(frozen=True, slots=True)
class Members:
    """Queries of one session; the caller has seen that the image is there."""

    session: Session

    def of(self, image_id: UUID, *, only: str | None = None) -> list[Member]:
        """Oldest first; with `only`, no other project's."""
        query = select(MemberRow).where(MemberRow.image_id == image_id)
        if only is not None:
            query = query.where(MemberRow.member_id == only)
        ordered = query.order_by(MemberRow.created_at, MemberRow.member_id)
        return [_member(row) for row in self.session.scalars(ordered)]

    def one(self, image_id: UUID, member_id: str) -> Member:
        """NotFound"""
        row = self.session.get(MemberRow, (image_id, member_id))
        if row is None:
            raise NotFound(f"{member_id} not found in the member list of the image {image_id}.")
        return _member(row)

    def add(self, image_id: UUID, member_id: str, *, most: int) -> Member:
        """A member that has not answered yet.  Conflict if it is one already, TooLarge beyond `most`"""
        count = select(func.count()).select_from(MemberRow).where(MemberRow.image_id == image_id)
        if (self.session.scalar(count) or 0) >= most:
            raise TooLarge(f"The limit has been exceeded on the number of allowed image members: {most}")
        now = utc_now()
        row = {"image_id": image_id, "member_id": member_id, "status": Answer.PENDING}
        try:
            with self.session.begin_nested():
                self.session.execute(insert(MemberRow).values(row | {"created_at": now, "updated_at": now}))
        except IntegrityError as error:
            raise Conflict(f"Image member {member_id} already exists for image {image_id}") from error
        return Member(image_id, member_id, Answer.PENDING, now, now)

    def answer(self, image_id: UUID, member_id: str, status: Answer) -> Member:
        """NotFound"""
        here = (MemberRow.image_id == image_id, MemberRow.member_id == member_id)
        self.session.execute(update(MemberRow).where(*here).values(status=status, updated_at=utc_now()))
        self.session.expire_all()
        return self.one(image_id, member_id)

    def remove(self, image_id: UUID, member_id: str) -> None:
        here = (MemberRow.image_id == image_id, MemberRow.member_id == member_id)
        self.session.execute(delete(MemberRow).where(*here))


def _member(row: MemberRow) -> Member:
    return Member(row.image_id, row.member_id, Answer(row.status), row.created_at, row.updated_at)
