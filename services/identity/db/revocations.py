"""The revocation list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, delete, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.auth.callers import Caller
from common.auth.tokens import Revocation
from services.identity.db.tables import Revoked

FIELDS = (
    "id", "audit_id", "audit_chain_id", "user_id", "project_id", "domain_id", "role_id",
    "credential_id", "trust_id", "issued_before", "expires_at",
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


def _unset_or_equal(column: InstrumentedAttribute[str | None], name: str) -> ColumnElement[bool]:
    return or_(column.is_(None), column == bindparam(name))


COULD_END = select(Revoked).where(
    Revoked.issued_before >= bindparam("issued_at"),
    _unset_or_equal(Revoked.audit_id, "audit_id"),
    or_(Revoked.user_id.is_(None), Revoked.user_id.in_(bindparam("users", expanding=True))),
    _unset_or_equal(Revoked.credential_id, "credential_id"),
    _unset_or_equal(Revoked.trust_id, "trust_id"),
    or_(Revoked.audit_chain_id.is_(None), Revoked.audit_chain_id.in_(bindparam("chain", expanding=True))),
)  # built once: each request asks this


def ends(session: Session, caller: Caller) -> bool:
    """Whether any of them ends this caller's token.  Expired ones count as long as they are kept."""
    token = {
        "issued_at": caller.issued_at,
        "audit_id": caller.audit_ids[0],
        "users": (caller.user_id, *caller.trust_users),
        "credential_id": caller.application_credential_id,
        "trust_id": caller.trust_id,
        "chain": caller.audit_ids,
    }
    return any(_revocation(row).ends(caller) for row in session.scalars(COULD_END, token))


def forget(session: Session, *, before: datetime) -> None:
    """Drop what no token outlives."""
    session.execute(delete(Revoked).where(Revoked.expires_at < before))


def _revocation(row: Revoked) -> Revocation:
    return Revocation(**{name: getattr(row, name) for name in FIELDS})
