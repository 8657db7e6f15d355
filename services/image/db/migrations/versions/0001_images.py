"""Images, their properties and tags, and the ids that were used up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("os_hidden", sa.Boolean(), nullable=False),
        sa.Column("disk_format", sa.Text()),
        sa.Column("container_format", sa.Text()),
        sa.Column("min_disk", sa.BigInteger(), nullable=False),
        sa.Column("min_ram", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("virtual_size", sa.BigInteger()),
        sa.Column("checksum", sa.Text()),
        sa.Column("os_hash_value", sa.Text()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("upload_id", sa.Uuid()),
        sa.Column("upload_seen_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
    )
    op.create_index("ix_images_created_at_id", "images", ["created_at", "id"])
    op.create_index("ix_images_owner_created_at_id", "images", ["owner", "created_at", "id"])
    op.create_index("ix_images_visibility_created_at_id", "images", ["visibility", "created_at", "id"])
    op.create_index("ix_images_name_id", "images", ["name", "id"])
    op.create_index("ix_images_upload_id", "images", ["upload_id"])
    _of_an_image("image_properties", "name", sa.Column("value", sa.Text(), nullable=False))
    _of_an_image("image_tags", "value")
    op.create_table(
        "spent_image_ids",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spent_image_ids"),
    )


def _of_an_image(table: str, key: str, *more: sa.Column[str]) -> None:
    op.create_table(
        table,
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column(key, sa.Text(), nullable=False),
        *more,
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=f"fk_{table}_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", key, name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_{key}_image_id", table, [key, "image_id"])


def downgrade() -> None:
    for table in ("spent_image_ids", "image_tags", "image_properties", "images"):
        op.drop_table(table)
