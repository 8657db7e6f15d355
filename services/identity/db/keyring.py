"""The signing keys that all identity processes of a cloud share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.auth.tokens import PublicKeys, sign
from common.db.database import Database
from common.db.types import utc_now
from common.errors import Unavailable
from services.identity.core.keys import Seal, public_key
from services.identity.db.tables import SigningKey

log = logging.getLogger(__name__)


class Keyring:
    """Signs with the current key, knows the former ones.  Thread-safe."""

    def __init__(
        self, database: Database, seal: Seal, *, kept_for: timedelta, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """`kept_for`: how long a retired key is still published, at least the life of a token."""
        self._database, self._seal, self._kept_for, self._clock = database, seal, kept_for, clock
        self._private: dict[str, Ed25519PrivateKey] = {}
        self._public: dict[str, Ed25519PublicKey] = {}

    def prepare(self, *, max_age: timedelta) -> None:
        """Rotate unless there is a current key, young enough and sealed with our secret.  Safe to repeat."""
        with self._database.reading() as session:
            current = _current(session)
        if current is None or current.created_at + max_age <= self._clock() or not self._opened(current):
            self.rotate()

    def rotate(self) -> str:
        """Sign with a new key from now on; returns its id.  Tokens of the former keys stay good."""
        pair, now = self._seal.new_pair(), self._clock()
        with self._database.transaction() as session:
            session.execute(update(SigningKey).where(SigningKey.retired_at.is_(None)).values(retired_at=now))
            session.execute(delete(SigningKey).where(SigningKey.retired_at < now - self._kept_for))
            session.add(SigningKey(id=pair.id, public=pair.public, sealed=pair.sealed, created_at=now))
        log.info("signing key rotated", extra={"key_id": pair.id})
        return pair.id

    def sign(self, session: Session, caller: Caller, *, audience: str | None = None) -> str:
        """The token for `caller`.  Unavailable when no key can be opened"""
        current = _current(session)
        private = self._opened(current) if current else None
        if current is None or private is None:
            raise Unavailable("There is no signing key that this process can use.")
        return sign(caller, key=private, key_id=current.id, audience=audience)

    def published(self, session: Session) -> Sequence[SigningKey]:
        """Current and former keys whose tokens may still live."""
        oldest = self._clock() - self._kept_for
        query = select(SigningKey).where(SigningKey.retired_at.is_(None) | (SigningKey.retired_at > oldest))
        return session.scalars(query.order_by(SigningKey.created_at)).all()

    def lives(self) -> Sequence[tuple[str, datetime, datetime | None]]:
        """Key id, since when and until when it signs; oldest first."""
        with self._database.reading() as session:
            return [(key.id, key.created_at, key.retired_at) for key in self.published(session)]

    def public(self, session: Session, key_id: str) -> PublicKeys:
        """The key of that id, if we have it; asks the database only for ids not seen yet."""
        if key_id not in self._public:
            self._public = {key.id: public_key(key.public) for key in self.published(session)}
        return self._public

    def _opened(self, key: SigningKey) -> Ed25519PrivateKey | None:
        if key.id not in self._private and (private := self._seal.opened(key.sealed)):
            self._private = {key.id: private}
        return self._private.get(key.id)


def _current(session: Session) -> SigningKey | None:
    query = select(SigningKey).where(SigningKey.retired_at.is_(None))
    return session.scalars(query.order_by(SigningKey.created_at.desc(), SigningKey.id).limit(1)).first()
