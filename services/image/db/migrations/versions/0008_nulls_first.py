"""PostgreSQL reads lists sorted by what an image may lack in the order of an index, as SQLite does: nulls are the smallest.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = tuple(
    (*first, column, "created_at", "id")
    for first in ((), ("owner",))
    for column in ("name", "disk_format", "container_format", "size")
)


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for columns in INDEXES:
        name, column = f"ix_images_{'_'.join(columns)}", columns[-3]
        first = [sa.text(f"{one} NULLS FIRST") if one == column else one for one in columns]
        op.create_index(f"{name}_nulls_first", "images", first)
        op.drop_index(name, "images")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for columns in INDEXES:
        name = f"ix_images_{'_'.join(columns)}"
        op.create_index(name, "images", list(columns))
        op.drop_index(f"{name}_nulls_first", "images")
