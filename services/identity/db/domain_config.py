"""Options that domains have of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session

from services.identity.db.tables import DomainOption


def of_domain(
    session: Session, domain_id: str, section: str | None = None, name: str | None = None
) -> Sequence[DomainOption]:
    """All of them, a section's, or one."""
    query = select(DomainOption).where(*_which(domain_id, section, name))
    return session.scalars(query.order_by(DomainOption.section, DomainOption.name)).all()


def has_any(session: Session, domain_id: str, section: str | None = None, name: str | None = None) -> bool:
    return bool(session.scalar(select(exists().where(*_which(domain_id, section, name)))))


def put(session: Session, domain_id: str, section: str, name: str, value: Any) -> None:
    """A value that was there is replaced."""
    session.merge(DomainOption(domain_id=domain_id, section=section, name=name, value=value))


def remove(session: Session, domain_id: str, section: str | None = None, name: str | None = None) -> None:
    session.execute(delete(DomainOption).where(*_which(domain_id, section, name)))


def _which(domain_id: str, section: str | None, name: str | None) -> list[ColumnElement[bool]]:
    found = [DomainOption.domain_id == domain_id]
    if section is not None:
        found.append(DomainOption.section == section)
    if name is not None:
        found.append(DomainOption.name == name)
    return found
