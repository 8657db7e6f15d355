"""Metadata definitions: namespaces, what is in them, and the resource types they are for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from common.db.types import Json, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "metadata_namespaces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text()),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_metadata_namespaces"),
        sa.UniqueConstraint("name", name="uq_metadata_namespaces_name"),
    )
    op.create_index("ix_metadata_namespaces_created_at_name", "metadata_namespaces", ["created_at", "name"])
    op.create_table(
        "metadata_resource_types",
        sa.Column("name", sa.Text(), nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("name", name="pk_metadata_resource_types"),
    )
    _of_a_namespace(
        "metadata_parts",
        ("kind", "name"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column[Any]("body", Json, nullable=False),
    )
    _of_a_namespace(
        "metadata_associations",
        ("resource_type",),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text()),
        sa.Column("properties_target", sa.Text()),
    )
    op.create_index("ix_metadata_associations_resource_type", "metadata_associations", ["resource_type"])


def _of_a_namespace(table: str, key: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    op.create_table(
        table,
        sa.Column("namespace_id", sa.Uuid(), nullable=False),
        *columns,
        *_stamps(),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["metadata_namespaces.id"], name=f"fk_{table}_namespace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("namespace_id", *key, name=f"pk_{table}"),
    )


def _stamps() -> tuple[sa.Column[str], ...]:
    return tuple(sa.Column(name, UtcDateTime(), nullable=False) for name in ("created_at", "updated_at"))


def downgrade() -> None:
    for table in ("metadata_associations", "metadata_parts", "metadata_resource_types", "metadata_namespaces"):
        op.drop_table(table)
