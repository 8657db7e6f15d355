"""Lists by id or container format are read in the order of an index, and few images of a container format found by one.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = (
    *(("owner", "id"), ("visibility", "id")),
    *((*first, "container_format", "created_at", "id") for first in ((), ("owner",))),
)


def upgrade() -> None:
    for columns in INDEXES:
        op.create_index(f"ix_images_{'_'.join(columns)}", "images", list(columns))


def downgrade() -> None:
    for columns in INDEXES:
        op.drop_index(f"ix_images_{'_'.join(columns)}", "images")
