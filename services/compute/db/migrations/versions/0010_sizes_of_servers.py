"""What quotas count of each server, in columns of an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("vcpus", "memory_mib"):
        op.add_column("servers", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE servers SET vcpus = CAST(flavor ->> 'vcpus' AS INTEGER), "
        "memory_mib = CAST(flavor ->> 'memory_mib' AS INTEGER)"
    )
    columns = ["project_id", "deleted_at", "user_id", "vcpus", "memory_mib"]
    op.create_index("ix_servers_counted", "servers", columns, unique=False)
