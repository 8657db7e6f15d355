"""Trusts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from common.errors import NotFound
from services.identity.db.delegation_tables import Trust

LONGEST_CHAIN = 16  # far more than redelegation allows


def is_alive(now: datetime) -> ColumnElement[bool]:
    """Neither deleted, nor over, nor used up."""
    return and_(
        Trust.deleted_at.is_(None),
        or_(Trust.expires_at.is_(None), Trust.expires_at > now),
        or_(Trust.remaining_uses.is_(None), Trust.remaining_uses > 0),
    )


def alive(session: Session, trust_id: str, now: datetime) -> Trust | None:
    return session.scalars(select(Trust).where(Trust.id == trust_id, is_alive(now))).one_or_none()


def existing(session: Session, trust_id: str) -> Trust | None:
    """Also one that is over or used up: a token that it gave lives on until its own end."""
    return session.scalars(select(Trust).where(Trust.id == trust_id, Trust.deleted_at.is_(None))).one_or_none()


def known(session: Session, trust_id: str, now: datetime) -> Trust:
    """NotFound, in Keystone's words."""
    if (found := alive(session, trust_id, now)) is None:
        raise unknown(trust_id)
    return found


def unknown(trust_id: str) -> NotFound:
    return NotFound(f"Could not find trust: {trust_id}.")


def chain(session: Session, trust: Trust) -> Sequence[Trust] | None:
    """The trust, what it was redelegated from, and so on to the first; None when one of them is gone."""
    found = [trust]
    while (earlier_id := found[-1].redelegated_trust_id) is not None:
        earlier = existing(session, earlier_id)
        if earlier is None or len(found) >= LONGEST_CHAIN:
            return None
        found.append(earlier)
    return found


def use(session: Session, trust_id: str, now: datetime) -> bool:
    """Take one of its uses, if it still has any: of simultaneous callers no more succeed than there are uses."""
    took = update(Trust).where(Trust.id == trust_id, is_alive(now)).values(remaining_uses=Trust.remaining_uses - 1)
    return session.scalar(took.returning(Trust.id)) is not None


def end(session: Session, trust: Trust, now: datetime) -> Sequence[str]:
    """With all that were redelegated from it; their ids."""
    ended, waiting = list[str](), [trust.id]
    while waiting:
        ended += waiting
        query = select(Trust.id).where(Trust.redelegated_trust_id.in_(waiting), Trust.deleted_at.is_(None))
        waiting = [one for one in session.scalars(query) if one not in ended]
    session.execute(update(Trust).where(Trust.id.in_(ended)).values(deleted_at=now))
    return ended


def end_of_user(session: Session, user_id: str, now: datetime) -> None:
    """All in which the user gives or is given."""
    concerned = or_(Trust.trustor_user_id == user_id, Trust.trustee_user_id == user_id)
    session.execute(update(Trust).where(concerned, Trust.deleted_at.is_(None)).values(deleted_at=now))
