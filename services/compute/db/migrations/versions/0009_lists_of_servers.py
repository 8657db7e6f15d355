"""Indexes for lists of servers by state, name, host and time of change: none need look at all servers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ALIVE = {
    "ix_servers_project": ["project_id", "created_at", "id"],
    "ix_servers_all": ["created_at", "id"],
    "ix_servers_state": ["project_id", "vm_state", "created_at", "id"],
    "ix_servers_state_all": ["vm_state", "created_at", "id"],
    "ix_servers_name": ["project_id", "name", "id"],
    "ix_servers_name_all": ["name", "id"],
    "ix_servers_host": ["host", "created_at", "id"],
}
ALL = {
    "ix_servers_changed": ["project_id", "updated_at"],
    "ix_servers_changed_all": ["updated_at"],
}


def upgrade() -> None:
    for name in ("ix_servers_project", "ix_servers_all", "ix_servers_host"):
        op.drop_index(name, "servers")
    where = sa.text("deleted_at IS NULL")
    for name, columns in ALIVE.items():
        op.create_index(name, "servers", columns, unique=False, sqlite_where=where, postgresql_where=where)
    for name, columns in ALL.items():
        op.create_index(name, "servers", columns, unique=False)
    gone = sa.text("deleted_at IS NOT NULL")
    op.create_index(
        "ix_servers_deleted", "servers", ["deleted_at"], unique=False, sqlite_where=gone, postgresql_where=gone
    )
