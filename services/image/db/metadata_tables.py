"""Tables of the metadata definitions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import Json
from services.image.db.tables import ImageTable


class NamespaceRow(ImageTable):
    __tablename__ = "metadata_namespaces"
    __table_args__ = (Index(None, "created_at", "name"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    visibility: Mapped[str] = mapped_column(Text)
    protected: Mapped[bool]
    owner: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class PartRow(ImageTable):
    """An object, a property or a tag of a namespace."""

    __tablename__ = "metadata_parts"

    namespace_id: Mapped[UUID] = mapped_column(
        ForeignKey("metadata_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    body: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ResourceTypeRow(ImageTable):
    __tablename__ = "metadata_resource_types"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AssociationRow(ImageTable):
    __tablename__ = "metadata_associations"
    __table_args__ = (Index(None, "resource_type"),)

    namespace_id: Mapped[UUID] = mapped_column(
        ForeignKey("metadata_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    resource_type: Mapped[str] = mapped_column(Text, primary_key=True)
    prefix: Mapped[str | None] = mapped_column(Text)
    properties_target: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
