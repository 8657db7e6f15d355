"""The cache of images that lie elsewhere, and uploads in ranges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cached_images",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("cached_at", UtcDateTime(), nullable=True),
        sa.Column("used_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_cached_images_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", name="pk_cached_images"),
    )
    op.add_column("images", sa.Column("upload_total", sa.BigInteger(), nullable=True))
    op.add_column("images", sa.Column("part_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("images") as images:
        images.drop_column("part_id")
        images.drop_column("upload_total")
    op.drop_table("cached_images")
