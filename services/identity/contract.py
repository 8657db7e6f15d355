"""What identity tells the other services over the bus."""

from __future__ import annotations

from typing import ClassVar

from common.audit import Activity
from common.auth.tokens import Revocation
from common.bus.messages import Event


class TokenRevoked(Event):
    """Tokens that match end now.  One that is lost is found again by polling (`client.Refresher`)."""

    topic: ClassVar[str] = "identity.token.revoked"

    revocation: Revocation


class IdentityActivity(Activity):
    """For audit: a call to the identity service that would change something, and how it ended."""

    topic: ClassVar[str] = "audit.identity.activity"
