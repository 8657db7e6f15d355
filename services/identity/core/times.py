"""Times as identity writes them."""

from __future__ import annotations

from datetime import datetime


def written(at: datetime) -> str:
    """2026-11-22T20:47:49.000000Z, the one form that clients parse."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def written_bare(at: datetime | None) -> str | None:
    """The same without the Z, as Keystone writes when a password expires."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") if at else None
