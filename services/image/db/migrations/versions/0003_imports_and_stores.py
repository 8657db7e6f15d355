"""Imports as sagas and tasks, the staging area, and which store holds which image."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.db.types import Json, UtcDateTime
from common.saga.tables import Number

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saga_events",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("is_undo", sa.Boolean(), nullable=False),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("succeeded", sa.Boolean(), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_saga_events"),
    )
    op.create_index("ix_saga_events_saga_id", "saga_events", ["saga_id"])

    op.create_table(
        "sagas",
        sa.Column("number", Number, autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("params", Json, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("resume_at", sa.Integer(), nullable=True),
        sa.Column("results", Json, nullable=False),
        sa.Column("excluded", Json, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.Column("is_told", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("step_began_at", UtcDateTime(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=128), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("deadline_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_sagas"),
        sa.UniqueConstraint("id", name="uq_sagas_id"),
    )
    op.create_index("ix_sagas_due", "sagas", ["state", "due_at"])
    op.create_index("ix_sagas_request_id", "sagas", ["request_id"])
    op.create_index("ix_sagas_resource_id", "sagas", ["resource_id"])
    op.create_index("ix_sagas_resource_state", "sagas", ["resource_id", "state"])

    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("input", Json, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_created_at_id", "tasks", ["created_at", "id"])
    op.create_index("ix_tasks_image_id", "tasks", ["image_id"])

    op.create_table(
        "image_places",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_places_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", "store", name="pk_image_places"),
    )
    op.create_index("ix_image_places_store_image_id", "image_places", ["store", "image_id"])

    op.create_table(
        "staged_images",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("md5", sa.Text(), nullable=False),
        sa.Column("sha512", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_staged_images_image_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("image_id", name="pk_staged_images"),
    )
    active = sa.text("INSERT INTO image_places (image_id, store) SELECT id, 'file' FROM images WHERE size IS NOT NULL")
    op.execute(active)


def downgrade() -> None:
    for table in ("staged_images", "image_places", "tasks", "sagas", "saga_events"):
        op.drop_table(table)
