"""Trusts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from services.identity.db.delegation_tables import Trust


def end_of_user(session: Session, user_id: str, now: datetime) -> None:
    """All in which the user gives or is given."""
    concerned = or_(Trust.trustor_user_id == user_id, Trust.trustee_user_id == user_id)
    session.execute(update(Trust).where(concerned, Trust.deleted_at.is_(None)).values(deleted_at=now))
