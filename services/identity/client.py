"""How the other services use identity: its keys, the revocation list, and tokens of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from common.auth.tokens import PublicKeys, Revocation, TokenVerifier
from common.bus.bus import Bus, Handlers
from common.errors import Forbidden, NotFound
from common.http.client import ServiceClient, Voucher
from common.periodic import Periodic
from common.process import Surroundings
from services.identity.contract import TokenRevoked
from services.identity.core.keys import public_key
from services.identity.core.proofs import HEADER, prove

POLL_S = 10.0
POLL_WHEN_DEAF_S = 0.25  # what is revoked must count within a second, broker or not


@dataclass(frozen=True, slots=True)
class Issued:
    """A token and its end."""

    token: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime


class IdentityClient(ServiceClient):
    """Requests to the identity service."""

    def __init__(self, surroundings: Surroundings, *, voucher: Voucher | None = None, timeout_s: float = 30) -> None:
        """In the same process when identity runs there, over the network otherwise."""
        inside = surroundings.inside
        base_url = "http://identity" if inside else surroundings.platform.identity_url
        super().__init__(base_url, inside=inside, voucher=voucher, timeout_s=timeout_s)
        self._secret = surroundings.platform.bus_key.get_secret_value()

    def keys(self) -> PublicKeys:
        """Current and former keys that tokens may be signed with."""
        listed = self.request("GET", "/v3/.well-known/jwks.json").json()["keys"]
        return {key["kid"]: public_key(key["x"]) for key in listed if key.get("crv") == "Ed25519"}

    def revocations(self) -> Sequence[Revocation]:
        """The whole list: what still lives of it is short."""
        answer = self.request("GET", "/v3/OS-REVOKE/events", headers={HEADER: prove(self._secret)})
        return [Revocation(**event | {"expires_at": event["listed_until"]}) for event in answer.json()["events"]]

    def has_project(self, project_id: str, token: str | None = None) -> bool:
        """Whether there is such a project; what the token's owner may not look at is taken to be one.  Unavailable"""
        try:
            self.request("GET", f"/v3/projects/{quote(project_id, safe='')}", token=token)
        except NotFound:
            return False
        except Forbidden:
            return True
        return True

    def token(self, username: str, password: str, project: str, *, domain_id: str = "default") -> Issued:
        """Log in.  Unauthenticated"""
        domain = {"id": domain_id}
        user = {"name": username, "password": password, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        asked = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}}
        answer = self.request("POST", "/v3/auth/tokens", params={"nocatalog": ""}, json=asked)
        body = answer.json()["token"]
        return Issued(answer.headers["x-subject-token"], _time(body["issued_at"]), _time(body["expires_at"]))


def _time(written: str) -> datetime:
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


class ServiceToken:
    """A `TokenSource`: this process's own token, renewed when a fifth of its life is left.  Thread-safe."""

    def __init__(self, client: IdentityClient, *, username: str, password: str, project: str = "service") -> None:
        self._client, self._project = client, project
        self._username, self._password = username, password
        self._issued: Issued | None = None
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """A token that is good for a while.  Unavailable, Unauthenticated"""
        with self._lock:
            if self._issued is None or self._is_old(self._issued):
                self._issued = self._client.token(self._username, self._password, self._project)
            return self._issued.token

    def forget(self) -> None:
        """Log in again next time: for whoever was told 401."""
        with self._lock:
            self._issued = None

    def _is_old(self, issued: Issued) -> bool:
        return datetime.now(UTC) > issued.expires_at - (issued.expires_at - issued.issued_at) / 5


class Refresher:
    """Keeps a verifier's revocation list fresh: events as they come, the whole list now and then, often while the bus is deaf."""

    def __init__(self, verifier: TokenVerifier, bus: Bus, *, poll_s: float = POLL_S) -> None:
        self._verifier, self._bus, self._poll_s = verifier, bus, poll_s
        self._asked_at = float("-inf")
        self._work = Periodic("token revocations", self._poll_if_due, every_s=min(POLL_WHEN_DEAF_S, poll_s))

    def start(self) -> None:
        """Returns at once."""
        heard = Handlers()

        @heard.hears(TokenRevoked)
        def revoked(event: TokenRevoked) -> None:
            self._verifier.revoke(event.revocation)

        self._bus.listen(TokenRevoked.topic, heard)
        self._work.start()

    def stop(self) -> None:
        self._work.stop()

    def _poll_if_due(self) -> None:
        now = time.monotonic()
        if self._bus.deaf_since() is None and now - self._asked_at < self._poll_s:
            return
        self._verifier.refresh()
        self._asked_at = now


def verifier_for(surroundings: Surroundings) -> tuple[TokenVerifier, Refresher]:
    """What a service checks tokens with, and the refresher to start and stop with the service."""
    client = IdentityClient(surroundings, timeout_s=10)
    verifier = TokenVerifier(fetch_keys=client.keys, fetch_revocations=client.revocations)
    return verifier, Refresher(verifier, surroundings.bus)
