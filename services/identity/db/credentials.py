"""Credentials, and the passcodes that were used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from services.identity.db.delegation_tables import Credential, UsedPasscode

EC2, TOTP = "ec2", "totp"


def id_of_access(access: str) -> str:
    """Where the pair with this access key is kept."""
    return hashlib.sha256(access.encode()).hexdigest()


def known(session: Session, credential_id: str) -> Credential:
    """NotFound, in Keystone's words."""
    if (found := session.get(Credential, credential_id)) is None:
        raise NotFound(f"Could not find credential: {credential_id}.")
    return found


def of_user(session: Session, user_id: str, kind: str) -> Sequence[Credential]:
    query = select(Credential).where(Credential.user_id == user_id, Credential.type == kind)
    return session.scalars(query.order_by(Credential.id)).all()


def add(session: Session, credential: Credential) -> None:
    """Conflict when there is one of that id: EC2 pairs with the same access key."""
    session.add(credential)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"Conflict occurred attempting to store credential - Duplicate entry found with ID {credential.id}."
        ) from error


def use_passcode(session: Session, credential_id: str, step: int, now: datetime) -> bool:
    """Whether this is the first time: of any number of processes one gets a yes."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    noted = insert(UsedPasscode).values(credential_id=credential_id, step=step, used_at=now).on_conflict_do_nothing()
    return session.scalar(noted.returning(UsedPasscode.step)) is not None


def forget_passcodes(session: Session, before: datetime) -> None:
    session.execute(delete(UsedPasscode).where(UsedPasscode.used_at < before))
