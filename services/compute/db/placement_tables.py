"""Placement's model: providers of resources, what they have, and who holds it.  Words: Placement API reference."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import UtcDateTime
from services.compute.db.tables import ComputeTable


class ProviderRow(ComputeTable):
    """A resource provider: each host is one.  Whoever changes what it has or who holds it must have seen its generation."""

    __tablename__ = "resource_providers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    generation: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class InventoryRow(ComputeTable):
    """How much of one resource class a provider has.  Units: VCPU, MEMORY_MB (MiB), DISK_GB (GiB)."""

    __tablename__ = "inventories"

    provider_id: Mapped[UUID] = mapped_column(ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True)
    resource_class: Mapped[str] = mapped_column(String(255), primary_key=True)
    total: Mapped[int]
    reserved: Mapped[int] = mapped_column(default=0)
    min_unit: Mapped[int] = mapped_column(default=1)
    max_unit: Mapped[int]
    step_size: Mapped[int] = mapped_column(default=1)
    allocation_ratio: Mapped[float] = mapped_column(default=1.0)
    used: Mapped[int] = mapped_column(default=0)  # sum of its allocations, kept in the transaction that changes them


class AllocationRow(ComputeTable):
    """What one consumer (a server) holds of one provider's resource class."""

    __tablename__ = "allocations"
    __table_args__ = (Index("ix_allocations_provider", "provider_id", "resource_class"),)

    consumer_id: Mapped[UUID] = mapped_column(primary_key=True)
    provider_id: Mapped[UUID] = mapped_column(
        ForeignKey("resource_providers.id", ondelete="RESTRICT"), primary_key=True
    )
    resource_class: Mapped[str] = mapped_column(String(255), primary_key=True)
    used: Mapped[int]
    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProviderTraitRow(ComputeTable):
    """A quality of a provider, by its name in os-traits or CUSTOM_…"""

    __tablename__ = "provider_traits"

    provider_id: Mapped[UUID] = mapped_column(ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True)
    trait: Mapped[str] = mapped_column(String(255), primary_key=True)
