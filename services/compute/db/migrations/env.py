"""Alembic's entry; see common.db.migrate."""

from common.db.migrate import run_migrations

run_migrations()
