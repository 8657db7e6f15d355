"""What the consoles work with, and which web sites may show them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from common.auth.callers import Caller
from common.auth.tokens import NOT_VALID, TokenVerifier, caller_of
from common.bus.bus import Bus
from common.clock import utc_now
from common.db.database import Database
from common.errors import Unauthenticated
from services.compute.console.grants import Grant
from services.compute.console.sessions import Sessions
from services.compute.contract import ConsoleAt, OpenConsole
from services.compute.core.consoles import ConsoleKind, hash_of
from services.compute.db.consoles import Consoles


@dataclass(frozen=True, eq=False, kw_only=True)
class ConsoleKit:
    """Built once in `main`."""

    database: Database
    bus: Bus
    verifier: TokenVerifier
    origins: frozenset[str]  # of the sites that may show consoles
    viewers: int  # per server
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sessions", Sessions(self.standing, per_server=self.viewers))

    def redeem(self, token: str) -> Grant:
        """What it is good for, once.  Unauthenticated in one sentence, whatever is wrong with it"""
        with self.database.transaction() as session:
            row = Consoles(session).redeem(hash_of(token), utc_now())
        if row is None:
            raise Unauthenticated(NOT_VALID)
        caller = caller_of(row.caller)
        grant = Grant(row.server_id, row.host, row.launched_at, ConsoleKind(row.kind), caller)
        if self.standing([grant]):
            raise Unauthenticated(NOT_VALID)
        return grant

    def standing(self, grants: Collection[Grant]) -> dict[Grant, str]:
        """Grant -> why it holds no longer, of those that don't."""
        found = {grant: "The login that it came from has ended" for grant in grants if self._has_ended(grant.caller)}
        with self.database.reading() as session:
            guests = Consoles(session).guests({grant.server_id for grant in grants})
        for grant in grants:
            if grant.server_id not in guests:
                found[grant] = "The server was deleted"
            elif guests[grant.server_id] != (grant.host, grant.launched_at):
                found[grant] = "The server was built anew"
        return found

    def open(self, grant: Grant) -> ConsoleAt:
        """Asks the guest's host.  Conflict, NotFound, Unavailable, DeadlineExceeded"""
        return self.bus.call(OpenConsole(server_id=grant.server_id, kind=grant.kind), host=grant.host)

    def welcomes(self, origins: Collection[str]) -> bool:
        """Whether a page of these origins may connect; programs other than browsers name none."""
        return all(one.lower() in self.origins for one in origins)

    def _has_ended(self, caller: Caller) -> bool:
        return caller.expires_at <= utc_now() or self.verifier.is_revoked(caller)


def origin_of(url: str) -> str:
    """Scheme, host and port, as browsers write an Origin: without a port that the scheme implies."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    implied = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, implied) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}".lower()
