"""Disks that a server has besides its root, where the request named them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import Json

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("servers", sa.Column("local_disks", Json, nullable=True))
