"""What the routes of this process were built with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from common.auth.policy import Policy
from common.auth.tokens import Revocation
from common.bus.bus import Bus
from common.db.database import Database
from common.db.types import utc_now
from services.identity.api.verifier import OwnVerifier
from services.identity.contract import TokenRevoked
from services.identity.core.application_secrets import ApplicationSecrets
from services.identity.core.lockout import Lockout
from services.identity.core.password_rules import PasswordRules, is_inactive
from services.identity.core.passwords import Passwords
from services.identity.core.seals import TextSeal
from services.identity.core.sources import Sources
from services.identity.db import revocations
from services.identity.db.keyring import Keyring
from services.identity.db.tables import User
from services.identity.db.users import Member
from services.identity.settings import IdentitySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Adapters and settings; made once in `main.py`."""

    settings: IdentitySettings
    url: str  # public address of this API: http://cloud/identity/v3
    secret: str  # shared by the processes of this cloud
    database: Database
    bus: Bus
    policy: Policy
    passwords: Passwords
    password_rules: PasswordRules
    lockout: Lockout
    secrets: ApplicationSecrets
    blobs: TextSeal  # what credentials keep
    sources: Sources
    keyring: Keyring
    verifier: OwnVerifier

    def is_enabled(self, user: User) -> bool:
        """Unless somebody disabled it, or nobody used it for too long."""
        active_at, after_days = user.active_at or user.created_at, self.settings.disable_user_account_days_inactive
        return user.enabled and not is_inactive(active_at, user.options, utc_now(), after_days=after_days)

    def may_act(self, member: Member) -> bool:
        """Whether the user and its domain are enabled."""
        return member.domain.enabled and self.is_enabled(member.user)

    def revoke(self, session: Session, **ends: str) -> TokenRevoked:
        """End the tokens that match; tell the bus what this returns once the session is committed."""
        return TokenRevoked(revocation=revoke(session, self.settings, **ends))


def revoke(session: Session, settings: IdentitySettings, **ends: str) -> Revocation:
    """Store a revocation that lasts as long as a token can be of use."""
    now, kept_s = utc_now(), settings.token_lifetime_s + settings.expired_grace_s
    return revocations.add(session, now=now, until=now + timedelta(seconds=kept_s), **ends)


async def _kit(request: Request) -> Kit:  # not a plain `def`: each of those costs a hop to a thread
    kit: Kit = request.app.state.kit
    return kit


KitOf = Annotated[Kit, Depends(_kit)]
