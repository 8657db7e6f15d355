"""Files that a request for a server brought along."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import Json

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("servers", sa.Column("files", Json, nullable=True))
