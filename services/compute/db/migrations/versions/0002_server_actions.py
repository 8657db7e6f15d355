"""What server actions keep: locks with reasons, the way back, since when a server waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import Json, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("servers", sa.Column("locked_by", sa.String(length=16), nullable=True))
    op.add_column("servers", sa.Column("locked_reason", sa.String(length=255), nullable=True))
    op.add_column("servers", sa.Column("sealed_password", sa.Text(), nullable=True))
    op.add_column("servers", sa.Column("before", Json, nullable=True))
    op.add_column("servers", sa.Column("waits_since", UtcDateTime(timezone=True), nullable=True))
