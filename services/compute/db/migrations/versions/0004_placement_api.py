"""Placement for everybody: trees of providers, their aggregates, consumers, names that operators make."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("custom_traits", "custom_resource_classes"):
        op.create_table(
            table,
            sa.Column("name", sa.String(length=255), nullable=False),
            sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{table}")),
        )
    op.create_table(
        "provider_aggregates",
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("aggregate_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["resource_providers.id"],
            name=op.f("fk_provider_aggregates_provider_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider_id", "aggregate_id", name=op.f("pk_provider_aggregates")),
    )
    op.create_index("ix_provider_aggregates_aggregate", "provider_aggregates", ["aggregate_id"], unique=False)
    _trees()
    _consumers()


def _trees() -> None:
    with op.batch_alter_table("resource_providers") as providers:
        providers.add_column(sa.Column("root_id", sa.Uuid(), nullable=True))
        providers.add_column(sa.Column("parent_id", sa.Uuid(), nullable=True))
        providers.add_column(sa.Column("updated_at", UtcDateTime(timezone=True), nullable=True))
    op.execute("UPDATE resource_providers SET root_id = id")
    with op.batch_alter_table("resource_providers") as providers:
        providers.alter_column("root_id", existing_type=sa.Uuid(), nullable=False)
        providers.create_foreign_key(
            op.f("fk_resource_providers_parent_id"), "resource_providers", ["parent_id"], ["id"], ondelete="RESTRICT"
        )
        providers.create_index("ix_resource_providers_root", ["root_id"], unique=False)


def _consumers() -> None:
    """Whoever holds something so far is a server."""
    op.create_table(
        "consumers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=True),
        sa.Column("is_server", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumers")),
    )
    op.create_index("ix_consumers_project", "consumers", ["project_id", "user_id"], unique=False)
    op.execute(
        "INSERT INTO consumers (id, project_id, user_id, generation, kind, is_server, created_at) "
        "SELECT consumer_id, MIN(project_id), MIN(user_id), 1, 'INSTANCE', true, MIN(created_at) "
        "FROM allocations GROUP BY consumer_id"
    )
    with op.batch_alter_table("allocations") as allocations:
        allocations.drop_column("project_id")
        allocations.drop_column("user_id")
        allocations.create_foreign_key(
            op.f("fk_allocations_consumer_id"), "consumers", ["consumer_id"], ["id"], ondelete="CASCADE"
        )
