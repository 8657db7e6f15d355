"""Domains, and all that goes with one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.db.types import utc_now
from common.errors import Conflict
from services.identity.db import projects
from services.identity.db.cloud_tables import Limit
from services.identity.db.delegation_tables import AccessRule, ApplicationCredential, Credential, CredentialRule, Trust
from services.identity.db.tables import (
    Assignment,
    Domain,
    DomainOption,
    DomainTag,
    FormerPassword,
    Group,
    ImpliedRole,
    Membership,
    Project,
    Role,
    User,
)


def keep(session: Session, domain: Domain) -> None:
    """Write a new or changed domain.  Conflict when another one has the name or the id."""
    session.add(domain)
    name = domain.name
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            "Conflict occurred attempting to store project - it is not permitted to have two projects acting as "
            f"domains with the same name: {name}."
        ) from error


def remove(session: Session, domain: Domain) -> None:
    """With everything in it: projects, people, roles, and what those had."""
    projects.forget(session, select(Project.id).where(Project.domain_id == domain.id))
    _people(session, domain.id)
    own = select(Role.id).where(Role.domain_id == domain.id)
    session.execute(delete(Assignment).where(Assignment.role_id.in_(own)))
    session.execute(delete(ImpliedRole).where(or_(ImpliedRole.prior_id.in_(own), ImpliedRole.implied_id.in_(own))))
    session.execute(delete(Role).where(Role.domain_id == domain.id))
    session.execute(delete(Assignment).where(Assignment.kind == "domain", Assignment.target_id == domain.id))
    session.execute(delete(Limit).where(Limit.owner == "domain", Limit.owner_id == domain.id))
    for table in (DomainOption, DomainTag):
        session.execute(delete(table).where(table.domain_id == domain.id))
    session.delete(domain)
    session.flush()


def _people(session: Session, domain_id: str) -> None:
    """Its users and groups, and what acts in their names."""
    users: Select[Any] = select(User.id).where(User.domain_id == domain_id)
    groups = select(Group.id).where(Group.domain_id == domain_id)
    trusts = or_(Trust.trustor_user_id.in_(users), Trust.trustee_user_id.in_(users))
    session.execute(update(Trust).where(trusts, Trust.deleted_at.is_(None)).values(deleted_at=utc_now()))
    session.execute(delete(Assignment).where(or_(Assignment.actor_id.in_(users), Assignment.actor_id.in_(groups))))
    session.execute(delete(Membership).where(or_(Membership.user_id.in_(users), Membership.group_id.in_(groups))))
    own = select(ApplicationCredential.id).where(ApplicationCredential.user_id.in_(users))
    session.execute(delete(CredentialRule).where(CredentialRule.credential_id.in_(own)))  # before the rules they name
    for table in (ApplicationCredential, AccessRule, Credential, FormerPassword):
        session.execute(delete(table).where(table.user_id.in_(users)))
    session.execute(delete(User).where(User.domain_id == domain_id))
    session.execute(delete(Group).where(Group.domain_id == domain_id))
