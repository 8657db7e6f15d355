"""Few images that are protected, hidden, or have sizes and least requirements of a kind are found by an index.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

RARE = {
    "protected": "protected IS TRUE",
    "os_hidden": "os_hidden IS TRUE",
    "min_disk": "min_disk > 0",
    "min_ram": "min_ram > 0",
    "virtual_size": "virtual_size > 0",
}


def upgrade() -> None:
    for column, has in RARE.items():
        op.create_index(
            f"ix_images_{column}", "images", [column], sqlite_where=sa.text(has), postgresql_where=sa.text(has)
        )


def downgrade() -> None:
    for column in RARE:
        op.drop_index(f"ix_images_{column}", "images")
