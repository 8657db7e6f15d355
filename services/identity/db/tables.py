"""Identity's tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import Json, Table

Number = BigInteger().with_variant(Integer, "sqlite")


class IdentityTable(Table):
    """Their common root."""

    __abstract__ = True


class Domain(IdentityTable):
    __tablename__ = "domains"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    enabled: Mapped[bool]
    options: Mapped[dict[str, Any]] = mapped_column(Json)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)  # what clients added to it


class DomainTag(IdentityTable):
    __tablename__ = "domain_tags"

    domain_id: Mapped[str] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)


class DomainOption(IdentityTable):
    """One option of a domain's own configuration; `value` is sealed when it is a secret."""

    __tablename__ = "domain_options"

    domain_id: Mapped[str] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True)
    section: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[Any] = mapped_column(Json)


class Project(IdentityTable):
    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(String(64), index=True)  # also looked for in all domains
    description: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    parent_id: Mapped[str] = mapped_column(String(64), index=True)  # another project, or the domain at the top
    options: Mapped[dict[str, Any]] = mapped_column(Json)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class ProjectTag(IdentityTable):
    __tablename__ = "project_tags"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)


class User(IdentityTable):
    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(String(255), index=True)
    enabled: Mapped[bool]
    default_project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    password_set_at: Mapped[datetime | None]
    password_expires_at: Mapped[datetime | None] = mapped_column(index=True)
    must_change_password: Mapped[bool]  # somebody else set it
    created_at: Mapped[datetime | None]
    active_at: Mapped[datetime | None]  # day of the latest log-in
    options: Mapped[dict[str, Any]] = mapped_column(Json)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class FormerPassword(IdentityTable):
    """Hashes of passwords that the user must not choose again."""

    __tablename__ = "former_passwords"

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime]


class LoginFailure(IdentityTable):
    """Failed log-ins in a row; a name that nobody has gets one too, so that both cases look alike."""

    __tablename__ = "login_failures"

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)


class Group(IdentityTable):
    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class Membership(IdentityTable):
    __tablename__ = "memberships"

    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class Role(IdentityTable):
    __tablename__ = "roles"
    __table_args__ = (
        UniqueConstraint("domain_id", "name"),
        Index(
            "ix_roles_global_name",
            "name",
            unique=True,
            sqlite_where=text("domain_id IS NULL"),
            postgresql_where=text("domain_id IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[str | None] = mapped_column(ForeignKey("domains.id"))
    description: Mapped[str | None] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(Json)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class ImpliedRole(IdentityTable):
    """Who has `prior` has `implied` too."""

    __tablename__ = "implied_roles"

    prior_id: Mapped[str] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)
    implied_id: Mapped[str] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)


class Assignment(IdentityTable):
    """A user's or a group's role on a target: `kind` is "project", "domain" or "system" (whose only id is "all").

    An inherited one counts on the projects below the target, not on the target itself.
    """

    __tablename__ = "assignments"
    __table_args__ = (Index(None, "kind", "target_id"),)

    actor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    actor: Mapped[str] = mapped_column(String(5))  # "user" or "group"; their ids never meet
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    target_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    role_id: Mapped[str] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True)
    inherited: Mapped[bool] = mapped_column(primary_key=True)


class Region(IdentityTable):
    __tablename__ = "regions"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    parent_region_id: Mapped[str | None] = mapped_column(ForeignKey("regions.id"), index=True)
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class Service(IdentityTable):
    __tablename__ = "services"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(String(255), index=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class Endpoint(IdentityTable):
    __tablename__ = "endpoints"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id", ondelete="CASCADE"), index=True)
    region_id: Mapped[str | None] = mapped_column(ForeignKey("regions.id"), index=True)
    interface: Mapped[str] = mapped_column(String(8))
    url: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    extra: Mapped[dict[str, Any]] = mapped_column(Json)


class SigningKey(IdentityTable):
    """The newest that is not retired signs; retired ones are still published until no token of theirs lives."""

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    public: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class Revoked(IdentityTable):
    """What `common.auth.tokens.Revocation` says, stored."""

    __tablename__ = "revocations"

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    audit_id: Mapped[str | None] = mapped_column(String(32))
    audit_chain_id: Mapped[str | None] = mapped_column(String(32))
    user_id: Mapped[str | None] = mapped_column(String(64))
    project_id: Mapped[str | None] = mapped_column(String(64))
    domain_id: Mapped[str | None] = mapped_column(String(64))
    role_id: Mapped[str | None] = mapped_column(String(64))
    credential_id: Mapped[str | None] = mapped_column(String(64))  # application credential
    trust_id: Mapped[str | None] = mapped_column(String(64))
    issued_before: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
