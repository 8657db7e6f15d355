"""Application credentials and the access rules that bind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import uuid4

from sqlalchemy import delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, Forbidden, NotFound
from services.identity.db.delegation_tables import AccessRule, ApplicationCredential, CredentialRule


def known(session: Session, user_id: str, credential_id: str) -> ApplicationCredential:
    """NotFound, in Keystone's words, also when it is another user's."""
    found = session.get(ApplicationCredential, credential_id)
    if found is None or found.user_id != user_id:
        raise NotFound(f"Could not find Application Credential: {credential_id}.")
    return found


def by_name(session: Session, user_id: str, name: str) -> ApplicationCredential | None:
    query = select(ApplicationCredential).where(
        ApplicationCredential.user_id == user_id, ApplicationCredential.name == name
    )
    return session.scalars(query).one_or_none()


def add(session: Session, credential: ApplicationCredential, rules: Iterable[AccessRule]) -> None:
    """Conflict when the user has one of that name."""
    session.add(credential)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            "Conflict occurred attempting to store application_credential - "
            f"Duplicate entry found with name {credential.name}."
        ) from error
    session.add_all(CredentialRule(credential_id=credential.id, rule_id=rule.id) for rule in rules)
    session.flush()


def remove(session: Session, credential: ApplicationCredential) -> None:
    """Its access rules stay: others may have them."""
    session.execute(delete(CredentialRule).where(CredentialRule.credential_id == credential.id))
    session.delete(credential)


def rules_of(session: Session, credential_ids: Sequence[str]) -> Mapping[str, list[AccessRule]]:
    """Application credential's id -> its rules; in one query for all of them."""
    found: dict[str, list[AccessRule]] = {one: [] for one in credential_ids}
    query = select(CredentialRule.credential_id, AccessRule).join(AccessRule, AccessRule.id == CredentialRule.rule_id)
    for credential_id, rule in session.execute(
        query.where(CredentialRule.credential_id.in_(credential_ids)).order_by(AccessRule.id)
    ):
        found[credential_id].append(rule)
    return found


def known_rule(session: Session, user_id: str, rule_id: str) -> AccessRule:
    """NotFound, in Keystone's words, also when it is another user's."""
    found = session.get(AccessRule, rule_id)
    if found is None or found.user_id != user_id:
        raise NotFound(f"Could not find Access Rule: {rule_id}.")
    return found


def rule_like(session: Session, user_id: str, *, service: str, method: str, path: str) -> AccessRule:
    """The user's rule that says this; made if there is none."""
    query = select(AccessRule).where(
        AccessRule.user_id == user_id,
        AccessRule.service == service,
        AccessRule.method == method,
        AccessRule.path == path,
    )
    if (found := session.scalars(query).one_or_none()) is None:
        found = AccessRule(id=uuid4().hex, user_id=user_id, service=service, method=method, path=path)
        session.add(found)
        session.flush()
    return found


def remove_rule(session: Session, rule: AccessRule) -> None:
    """Forbidden while an application credential has it"""
    if session.scalar(select(exists().where(CredentialRule.rule_id == rule.id))):
        raise Forbidden(
            "You are not authorized to perform the requested action: "
            f"Access rule {rule.id} is in use by an application credential."
        )
    session.delete(rule)
