"""Lists of many images are read in the order of an index, and found by hash, tag or property by one.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SORTED_BY = ("name", "status", "disk_format", "size", "updated_at")


def upgrade() -> None:
    op.drop_index("ix_images_name_id", "images")
    for column in ("checksum", "os_hash_value"):
        op.create_index(f"ix_images_{column}", "images", [column])
    for first in ((), ("owner",)):
        for column in SORTED_BY:
            columns = [*first, column, "created_at", "id"]
            op.create_index(f"ix_images_{'_'.join(columns)}", "images", columns)
    op.add_column("image_properties", sa.Column("start", sa.Text(), nullable=True))
    op.execute("UPDATE image_properties SET start = substr(value, 1, 100)")
    with op.batch_alter_table("image_properties") as batch:
        batch.alter_column("start", existing_type=sa.Text(), nullable=False)
        batch.drop_index("ix_image_properties_name_image_id")
        batch.create_index("ix_image_properties_name_start_image_id", ["name", "start", "image_id"])


def downgrade() -> None:
    with op.batch_alter_table("image_properties") as batch:
        batch.drop_index("ix_image_properties_name_start_image_id")
        batch.create_index("ix_image_properties_name_image_id", ["name", "image_id"])
        batch.drop_column("start")
    for first in ((), ("owner",)):
        for column in SORTED_BY:
            op.drop_index(f"ix_images_{'_'.join([*first, column, 'created_at', 'id'])}", "images")
    for column in ("checksum", "os_hash_value"):
        op.drop_index(f"ix_images_{column}", "images")
    op.create_index("ix_images_name_id", "images", ["name", "id"])
