"""What a new trust may be: as much as the trust whose token asks for it allows, if there is one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from common.auth.callers import Caller
from common.db.types import utc_now
from common.errors import Forbidden
from services.identity.api.delegation import NOT_ALLOWED
from services.identity.api.kit import Kit
from services.identity.api.schemas.delegation import NewTrust
from services.identity.db import roles, trusts


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the power comes from; empty for a trust that a user gives by itself."""

    redelegation_count: int
    trust_id: str | None = None
    trustor_id: str | None = None  # who gave the first trust of the chain
    role_ids: Collection[str] | None = None  # no others can be handed on
    expires_at: datetime | None = None

    def ends(self, asked: datetime | None) -> datetime | None:
        """Not after its origin does."""
        return min((at for at in (asked, self.expires_at) if at is not None), default=None)


def origin_of(kit: Kit, session: Session, caller: Caller, asked: NewTrust) -> Origin:
    """Forbidden when the trust that asks does not allow this one"""
    most = kit.settings.redelegation_depth
    if caller.trust_id is None:
        return Origin(redelegation_count=_count(asked, most))
    former = trusts.alive(session, caller.trust_id, utc_now())
    chain = trusts.chain(session, former) if former else None
    if former is None or chain is None or former.redelegation_count < 1:
        raise Forbidden(NOT_ALLOWED.format("redelegation is not allowed by the trust"))
    _must_be_no_more(asked, former.impersonation, former.project_id, former.expires_at)
    return Origin(
        redelegation_count=_count(asked, former.redelegation_count - 1),
        trust_id=former.id,
        trustor_id=chain[-1].trustor_user_id,
        role_ids={role.id for role in roles.implied_by(session, former.role_ids)},
        expires_at=former.expires_at,
    )


def _must_be_no_more(asked: NewTrust, impersonation: bool, project_id: str | None, expires_at: datetime | None) -> None:
    if asked.impersonation and not impersonation:
        raise Forbidden(NOT_ALLOWED.format("the trust that is handed on does not impersonate"))
    if asked.project_id != project_id:
        raise Forbidden(NOT_ALLOWED.format("the trust that is handed on is for another project"))
    if asked.remaining_uses is not None:
        raise Forbidden(NOT_ALLOWED.format("remaining_uses of a redelegated trust must not be set"))
    if expires_at is not None and asked.expires_at is not None and asked.expires_at > expires_at:
        raise Forbidden(NOT_ALLOWED.format("a redelegated trust must not outlive its origin"))


def _count(asked: NewTrust, most: int) -> int:
    if not asked.allow_redelegation:
        return 0
    count = most if asked.redelegation_count is None else asked.redelegation_count
    if count > most:
        raise Forbidden(NOT_ALLOWED.format(f"redelegation depth of {count} is greater than allowed {most}"))
    if asked.remaining_uses is not None:
        raise Forbidden(NOT_ALLOWED.format("a trust with remaining_uses cannot be redelegated"))
    return count
