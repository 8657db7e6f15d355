"""Rules by which one role brings another."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from common.errors import Conflict, NotFound
from services.identity.db.tables import ImpliedRole, Role

PRIOR, IMPLIED = aliased(Role), aliased(Role)


def of(session: Session, prior_id: str) -> list[Role]:
    """What the role brings directly, by name."""
    query = select(Role).join(ImpliedRole, ImpliedRole.implied_id == Role.id).where(ImpliedRole.prior_id == prior_id)
    return list(session.scalars(query.order_by(Role.name)))


def all_rules(session: Session) -> list[tuple[Role, list[Role]]]:
    """Each role that brings others, with those; both by name."""
    query = (
        select(PRIOR, IMPLIED)
        .join(ImpliedRole, ImpliedRole.prior_id == PRIOR.id)
        .join(IMPLIED, IMPLIED.id == ImpliedRole.implied_id)
        .order_by(PRIOR.name, PRIOR.id, IMPLIED.name)
    )
    rules: dict[str, tuple[Role, list[Role]]] = {}
    for prior, implied in session.execute(query):
        rules.setdefault(prior.id, (prior, []))[1].append(implied)
    return list(rules.values())


def known(session: Session, prior_id: str, implied_id: str) -> ImpliedRole:
    """NotFound, in Keystone's words."""
    if (rule := session.get(ImpliedRole, (prior_id, implied_id))) is None:
        raise NotFound(f"{prior_id} does not imply {implied_id}.")
    return rule


def add(session: Session, prior_id: str, implied_id: str) -> None:
    """Conflict when there is that rule."""
    session.add(ImpliedRole(prior_id=prior_id, implied_id=implied_id))
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("Conflict occurred attempting to store implied_role - Duplicate entry.") from error
