"""Placement's model: providers of resources, what they have, and who holds it.  Words: Placement API reference."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import UtcDateTime
from services.compute.db.tables import ComputeTable


def _own_id(context: Any) -> UUID:
    found: UUID = context.get_current_parameters()["id"]
    return found


class ProviderRow(ComputeTable):
    """A resource provider: each host is one.  Whoever changes what it has or who holds it must have seen its generation."""

    __tablename__ = "resource_providers"
    __table_args__ = (Index("ix_resource_providers_root", "root_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    generation: Mapped[int] = mapped_column(default=0)
    root_id: Mapped[UUID] = mapped_column(default=_own_id)  # of its tree
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("resource_providers.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


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


class ConsumerRow(ComputeTable):
    """Who holds something: a server, or what a client of placement says; gone with the last thing it holds."""

    __tablename__ = "consumers"
    __table_args__ = (Index("ix_consumers_project", "project_id", "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[str] = mapped_column(String(255))
    generation: Mapped[int] = mapped_column(default=1)
    kind: Mapped[str | None] = mapped_column(String(255))  # `consumer_type`; None: nobody said
    is_server: Mapped[bool] = mapped_column(default=False)  # held by the scheduler, which alone may change it
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AllocationRow(ComputeTable):
    """What one consumer (a server) holds of one provider's resource class."""

    __tablename__ = "allocations"
    __table_args__ = (Index("ix_allocations_provider", "provider_id", "resource_class"),)

    consumer_id: Mapped[UUID] = mapped_column(ForeignKey("consumers.id", ondelete="CASCADE"), primary_key=True)
    provider_id: Mapped[UUID] = mapped_column(
        ForeignKey("resource_providers.id", ondelete="RESTRICT"), primary_key=True
    )
    resource_class: Mapped[str] = mapped_column(String(255), primary_key=True)
    used: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProviderTraitRow(ComputeTable):
    """A quality of a provider, by its name in os-traits or CUSTOM_…"""

    __tablename__ = "provider_traits"

    provider_id: Mapped[UUID] = mapped_column(ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True)
    trait: Mapped[str] = mapped_column(String(255), primary_key=True)


class ProviderAggregateRow(ComputeTable):
    """A set of providers, known by its id alone."""

    __tablename__ = "provider_aggregates"
    __table_args__ = (Index("ix_provider_aggregates_aggregate", "aggregate_id"),)

    provider_id: Mapped[UUID] = mapped_column(ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True)
    aggregate_id: Mapped[UUID] = mapped_column(primary_key=True)


class CustomTraitRow(ComputeTable):
    """A trait besides those of os-traits."""

    __tablename__ = "custom_traits"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CustomClassRow(ComputeTable):
    """A resource class besides those of os-resource-classes."""

    __tablename__ = "custom_resource_classes"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
