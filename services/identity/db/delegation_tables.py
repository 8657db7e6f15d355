"""Tables of what acts in a user's name: credentials, application credentials, trusts, OAuth consumers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import Json
from services.identity.db.tables import IdentityTable


class Credential(IdentityTable):
    """A secret kept for a user: an EC2 key pair, a TOTP seed, anything.  The blob is sealed with the cloud's secret."""

    __tablename__ = "credentials"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # of an EC2 pair: sha256 of its access key
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    type: Mapped[str] = mapped_column(String(255))
    sealed: Mapped[str] = mapped_column(Text)
    trust_id: Mapped[str | None] = mapped_column(String(64), index=True)  # made with a token of this trust
    application_credential_id: Mapped[str | None] = mapped_column(String(64), index=True)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class UsedPasscode(IdentityTable):
    """A TOTP passcode that was accepted, until it could not be accepted any more: each is good once."""

    __tablename__ = "used_passcodes"

    credential_id: Mapped[str] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)  # number of the 30 s step since 1970
    used_at: Mapped[datetime] = mapped_column(index=True)


class ApplicationCredential(IdentityTable):
    __tablename__ = "application_credentials"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    secret_hash: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(String(64), index=True)
    expires_at: Mapped[datetime | None]
    unrestricted: Mapped[bool]
    role_ids: Mapped[list[str]] = mapped_column(Json)
    created_at: Mapped[datetime]


class AccessRule(IdentityTable):
    """A request that an application credential may make."""

    __tablename__ = "access_rules"
    __table_args__ = (UniqueConstraint("user_id", "service", "method", "path"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    service: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(128))
    method: Mapped[str] = mapped_column(String(16))


class CredentialRule(IdentityTable):
    """Which access rules an application credential is bound by."""

    __tablename__ = "application_credential_access_rules"

    credential_id: Mapped[str] = mapped_column(
        ForeignKey("application_credentials.id", ondelete="CASCADE"), primary_key=True
    )
    rule_id: Mapped[str] = mapped_column(ForeignKey("access_rules.id"), primary_key=True, index=True)


class Trust(IdentityTable):
    """`trustor` lets `trustee` act with some of its roles on a project."""

    __tablename__ = "trusts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    trustor_user_id: Mapped[str] = mapped_column(String(64), index=True)
    trustee_user_id: Mapped[str] = mapped_column(String(64), index=True)
    project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    impersonation: Mapped[bool]
    role_ids: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[datetime | None]
    remaining_uses: Mapped[int | None]
    redelegation_count: Mapped[int]
    redelegated_trust_id: Mapped[str | None] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class Consumer(IdentityTable):
    """An OAuth 1 consumer."""

    __tablename__ = "consumers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    description: Mapped[str | None] = mapped_column(Text)
    sealed: Mapped[str] = mapped_column(Text)  # its secret
    extra: Mapped[dict[str, Any]] = mapped_column(Json)
