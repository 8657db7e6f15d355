"""Times as identity writes them."""

from __future__ import annotations

from datetime import datetime


def written(at: datetime) -> str:
    """2026-11-22T20:47:49.000000Z, the one form that clients parse."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
