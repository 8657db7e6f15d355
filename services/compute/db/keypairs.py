"""Queries on users' key pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.errors import Conflict, InvalidInput, NotFound
from services.compute.db.tables import KeypairRow

_K = KeypairRow
COLUMNS: tuple[InstrumentedAttribute[Any], ...] = (
    _K.number, _K.user_id, _K.name, _K.kind, _K.fingerprint, _K.public_key, _K.created_at,
)  # fmt: skip


class Keypairs:
    """Within one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, name: str, *, user_id: str) -> Row[Any]:
        """NotFound"""
        query = select(*COLUMNS).where(KeypairRow.user_id == user_id, KeypairRow.name == name)
        if (row := self._session.execute(query).one_or_none()) is None:
            raise NotFound(f"Keypair {name} not found for user {user_id}")
        return row

    def page(self, *, user_id: str, marker: str | None, limit: int) -> Sequence[Row[Any]]:
        """By name."""
        query = select(*COLUMNS).where(KeypairRow.user_id == user_id).order_by(KeypairRow.name).limit(limit)
        if marker is not None:
            known = select(KeypairRow.number).where(KeypairRow.user_id == user_id, KeypairRow.name == marker)
            if self._session.scalar(known) is None:
                raise InvalidInput(f"marker [{marker}] not found")
            query = query.where(KeypairRow.name > marker)
        return self._session.execute(query).all()

    def add(self, values: Mapping[str, Any]) -> None:
        """Conflict if the user has one of this name."""
        try:
            self._session.execute(insert(KeypairRow), [dict(values)])
        except IntegrityError as error:
            raise Conflict(f"Key pair '{values['name']}' already exists.") from error

    def remove(self, name: str, *, user_id: str) -> None:
        """NotFound"""
        self.find(name, user_id=user_id)
        self._session.execute(delete(KeypairRow).where(KeypairRow.user_id == user_id, KeypairRow.name == name))
