"""Tables of the image service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import Json, Table, only_in
from common.saga.tables import SagaColumns, SagaEventColumns, SagaTables

START = 100  # characters

SORTED_BY = {
    "name": True,
    "disk_format": True,
    "container_format": True,
    "size": True,
    "status": False,
    "updated_at": False,
}
"""Whether an image may lack it."""

RARE = {
    "protected": "protected IS TRUE",
    "os_hidden": "os_hidden IS TRUE",
    "min_disk": "min_disk > 0",
    "min_ram": "min_ram > 0",
    "virtual_size": "virtual_size > 0",
}
"""What only those images are found by that have it; said word for word, SQLite takes the index, and never else."""


def sorted_by(column: str, *, owned: bool, may_lack: bool) -> Iterator[Index]:
    """Indexes for lists in the order of `column`: images without it come first, in PostgreSQL only if the index says so."""
    names = [*(("owner",) if owned else ()), column, "created_at", "id"]
    if not may_lack:
        yield Index(None, *names)
        return
    yield only_in("sqlite", Index(None, *names))
    first = [text(f"{name} NULLS FIRST") if name == column else name for name in names]
    yield only_in("postgresql", Index(f"ix_images_{'_'.join(names)}_nulls_first", *first))


class ImageTable(Table):
    """Root of this service's tables."""

    __abstract__ = True


class ImageSaga(SagaColumns, ImageTable):
    """Accepted long work on an image; `resource_id` is the image's."""


class ImageSagaEvent(SagaEventColumns, ImageTable):
    """One step of such work."""


SAGAS = SagaTables(ImageSaga, ImageSagaEvent)


class ImageRow(ImageTable):
    __tablename__ = "images"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "owner", "created_at", "id"),
        Index(None, "visibility", "created_at", "id"),
        Index(None, "owner", "id"),
        Index(None, "visibility", "id"),
        Index(None, "checksum"),
        Index(None, "os_hash_value"),
        *(Index(None, name, sqlite_where=text(has), postgresql_where=text(has)) for name, has in RARE.items()),
        *(
            index
            for column, may_lack in SORTED_BY.items()
            for owned in (False, True)
            for index in sorted_by(column, owned=owned, may_lack=may_lack)
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    status: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(Text)
    visibility: Mapped[str] = mapped_column(Text)
    protected: Mapped[bool]
    os_hidden: Mapped[bool]
    disk_format: Mapped[str | None] = mapped_column(Text)
    container_format: Mapped[str | None] = mapped_column(Text)
    min_disk: Mapped[int] = mapped_column(BigInteger)
    min_ram: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(BigInteger)
    checksum: Mapped[str | None] = mapped_column(Text)  # md5
    os_hash_value: Mapped[str | None] = mapped_column(Text)  # sha512
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    claimed_bytes: Mapped[int] = mapped_column(BigInteger, default=0)  # stored, or promised to the upload under way
    upload_id: Mapped[UUID | None] = mapped_column(Uuid, index=True)  # name of the arriving file while saving
    upload_seen_at: Mapped[datetime | None]  # last sign of life of that upload
    upload_total: Mapped[int | None] = mapped_column(BigInteger)  # bytes there will be, when they come in ranges
    part_id: Mapped[UUID | None] = mapped_column(Uuid)  # the request that brings a range just now


class PropertyRow(ImageTable):
    __tablename__ = "image_properties"
    __table_args__ = (Index(None, "name", "start", "image_id"),)

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    start: Mapped[str] = mapped_column(Text)  # of the value: as much as every database takes into an index


class TagRow(ImageTable):
    __tablename__ = "image_tags"
    __table_args__ = (Index(None, "value", "image_id"),)

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    value: Mapped[str] = mapped_column(Text, primary_key=True)


class PlaceRow(ImageTable):
    """Stores that hold the image's bytes."""

    __tablename__ = "image_places"
    __table_args__ = (Index(None, "store", "image_id"),)

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    store: Mapped[str] = mapped_column(Text, primary_key=True)


class CachedRow(ImageTable):
    """An image that the cache holds, or shall fetch: then `size` is not there yet."""

    __tablename__ = "cached_images"

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    size: Mapped[int | None] = mapped_column(BigInteger)
    hits: Mapped[int] = mapped_column(BigInteger)
    asked_at: Mapped[datetime]
    cached_at: Mapped[datetime | None]
    used_at: Mapped[datetime]


class StagedRow(ImageTable):
    """Bytes that wait in the staging area for an import."""

    __tablename__ = "staged_images"

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    md5: Mapped[str] = mapped_column(Text)
    sha512: Mapped[str] = mapped_column(Text)


class TaskRow(ImageTable):
    """Long work as users see it; stays for a while after its image is gone."""

    __tablename__ = "tasks"
    __table_args__ = (Index(None, "created_at", "id"), Index(None, "image_id"))

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    image_id: Mapped[UUID] = mapped_column(Uuid)
    input: Mapped[Any] = mapped_column(Json)
    message: Mapped[str] = mapped_column(Text, default="")
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class MemberRow(ImageTable):
    """Projects that a shared image is shared with."""

    __tablename__ = "image_members"
    __table_args__ = (Index(None, "member_id", "status"),)

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(Text, primary_key=True)
    status: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SpentIdRow(ImageTable):
    """Ids of deleted images: nobody else's image may take the place that a stranger's script still points to."""

    __tablename__ = "spent_image_ids"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    deleted_at: Mapped[datetime]
