"""What a project's servers are mostly filtered by, in the index that has them in order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("servers", sa.Column("flavor_id", sa.String(255), nullable=False, server_default=""))
    op.execute("UPDATE servers SET flavor_id = flavor ->> 'id'")
    op.drop_index("ix_servers_project", "servers")
    where = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_servers_project",
        "servers",
        ["project_id", "created_at", "id", "image_id", "flavor_id", "name"],
        unique=False,
        sqlite_where=where,
        postgresql_where=where,
    )
