"""Users and projects are found by name alone in large clouds, too."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("projects", "users")


def upgrade() -> None:
    for table in TABLES:
        op.create_index(op.f(f"ix_{table}_name"), table, ["name"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(op.f(f"ix_{table}_name"), table)
