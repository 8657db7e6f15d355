"""Tables that describe the cloud rather than people: limits, policy documents, which project sees which endpoints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import Json
from services.identity.db.tables import IdentityTable


class RegisteredLimit(IdentityTable):
    """How much of a resource each project may have unless a `Limit` of its own says otherwise."""

    __tablename__ = "registered_limits"
    __table_args__ = (UniqueConstraint("service_id", "region_id", "resource_name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"))
    region_id: Mapped[str] = mapped_column(String(255), index=True)  # "": every region
    resource_name: Mapped[str] = mapped_column(String(255))
    default_limit: Mapped[int]
    description: Mapped[str | None] = mapped_column(Text)


class Limit(IdentityTable):
    """One project's or domain's own limit."""

    __tablename__ = "limits"
    __table_args__ = (UniqueConstraint("owner_id", "registered_limit_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    registered_limit_id: Mapped[str] = mapped_column(ForeignKey("registered_limits.id"), index=True)
    owner: Mapped[str] = mapped_column(String(7))  # "project" or "domain"
    owner_id: Mapped[str] = mapped_column(String(64))
    resource_limit: Mapped[int]
    description: Mapped[str | None] = mapped_column(Text)


class PolicyDocument(IdentityTable):
    """A policy that some service keeps here; Pileus itself does not read it."""

    __tablename__ = "policies"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(String(255))
    blob: Mapped[Any] = mapped_column(Json)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class PolicyAssociation(IdentityTable):
    """Which endpoints a policy is for: one endpoint, a service, or a service in a region.  The others are ""."""

    __tablename__ = "policy_associations"

    endpoint_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    service_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    region_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    policy_id: Mapped[str] = mapped_column(ForeignKey("policies.id", ondelete="CASCADE"), index=True)


class EndpointGroup(IdentityTable):
    """Endpoints that match `filters` (service_id, region_id, interface)."""

    __tablename__ = "endpoint_groups"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    filters: Mapped[dict[str, Any]] = mapped_column(Json)


class ProjectEndpoint(IdentityTable):
    """A project that has any of these, or of the groups, sees no other endpoints in its catalog."""

    __tablename__ = "project_endpoints"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(
        ForeignKey("endpoints.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ProjectEndpointGroup(IdentityTable):
    __tablename__ = "project_endpoint_groups"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[str] = mapped_column(
        ForeignKey("endpoint_groups.id", ondelete="CASCADE"), primary_key=True, index=True
    )
