"""Identity's own token check: it has the keys and the revocation list at hand, so what another process ended counts at once."""

from __future__ import annotations

from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID, TokenVerifier, key_id
from common.db.database import Database
from common.errors import Unauthenticated
from services.identity.db import revocations
from services.identity.db.keyring import Keyring


class OwnVerifier(TokenVerifier):
    """Asks the database instead of another service."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        super().__init__(fetch_keys=dict, fetch_revocations=tuple)
        self._database, self._keyring = database, keyring

    def may_be_new(self, token: str) -> bool:
        """Always: each check takes a thread, since it asks the database."""
        return True

    def verify(self, token: str, *, grace_s: float = 0) -> Caller:
        """Also one that ended up to `grace_s` seconds ago.  Unauthenticated"""
        signed_by = key_id(token)
        with self._database.reading() as session:
            keys = self._keyring.public(session, signed_by)
            caller = self._read(token, keys, grace_s)
            if revocations.ends(session, caller):
                raise Unauthenticated(NOT_VALID)
        return caller
