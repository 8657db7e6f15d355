"""The revocation list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.auth.callers import Caller
from common.auth.tokens import Revocation
from services.identity.db.tables import Revoked

FIELDS = (
    "id", "audit_id", "audit_chain_id", "user_id", "project_id", "domain_id", "role_id", "issued_before", "expires_at",
)  # fmt: skip


def add(session: Session, *, now: datetime, until: datetime, **ends: str) -> Revocation:
    """End all tokens issued by now that match every one of `ends` (fields of `Revocation`)."""
    row = Revoked(**ends, issued_before=now, expires_at=until)
    session.add(row)
    session.flush()
    return _revocation(row)


def since(session: Session, *, now: datetime, issued_before: datetime | None = None) -> Sequence[Revocation]:
    """Those that still matter, oldest first; `issued_before` leaves out the older ones."""
    query = select(Revoked).where(Revoked.expires_at > now).order_by(Revoked.id)
    if issued_before is not None:
        query = query.where(Revoked.issued_before >= issued_before)
    return [_revocation(row) for row in session.scalars(query)]


def ends(session: Session, caller: Caller) -> bool:
    """Whether any of them ends this caller's token.  Expired ones count as long as they are kept."""
    found = session.scalars(select(Revoked).where(*_could_match(caller)))
    return any(_revocation(row).ends(caller) for row in found)


def _could_match(caller: Caller) -> list[ColumnElement[bool]]:
    return [
        Revoked.issued_before >= caller.issued_at,
        _unset_or(Revoked.audit_id, caller.audit_ids[:1]),
        _unset_or(Revoked.audit_chain_id, caller.audit_ids),
        _unset_or(Revoked.user_id, (caller.user_id,)),
    ]


def _unset_or(column: InstrumentedAttribute[str | None], values: Sequence[str]) -> ColumnElement[bool]:
    return or_(column.is_(None), column.in_(values))


def forget(session: Session, *, before: datetime) -> None:
    """Drop what no token outlives."""
    session.execute(delete(Revoked).where(Revoked.expires_at < before))


def _revocation(row: Revoked) -> Revocation:
    return Revocation(**{name: getattr(row, name) for name in FIELDS})
