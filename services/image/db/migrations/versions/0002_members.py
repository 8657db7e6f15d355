"""Projects that images are shared with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_members",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_members_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "member_id", name="pk_image_members"),
    )
    op.create_index("ix_image_members_member_id_status", "image_members", ["member_id", "status"])


def downgrade() -> None:
    op.drop_table("image_members")
