"""The body of a log-in.  Identity API v3, "Authentication and token management"."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import InvalidInput
from services.identity.api.schemas.texts import Id, Text

MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect. "
    "The client is assumed to be in error."
)


def expecting(what: str, where: str) -> InvalidInput:
    """Keystone's sentence for what is missing in a body."""
    return InvalidInput(f"Expecting to find {what} in {where}. {MALFORMED}")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class DomainRef(Part):
    id: Text | None = None
    name: Text | None = None


class ProjectRef(Part):
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None


class UserRef(Part):
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None
    password: str = Field(repr=False)


class PasswordMethod(Part):
    user: UserRef


class TokenMethod(Part):
    id: str = Field(repr=False)


class NamedUser(Part):
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None


class ApplicationCredentialMethod(Part):
    id: Text | None = None
    name: Text | None = None
    user: NamedUser | None = None
    secret: str = Field(repr=False)


class TotpUser(NamedUser):
    passcode: Text = Field(repr=False)


class TotpMethod(Part):
    user: TotpUser


class IdentityPart(Part):
    methods: list[str]
    application_credential: ApplicationCredentialMethod | None = None
    totp: TotpMethod | None = None
    password: PasswordMethod | None = None
    token: TokenMethod | None = None


class SystemRef(Part):
    all: Literal[True]


class TrustRef(Part):
    id: Id


class ScopePart(Part):
    trust: TrustRef | None = Field(None, alias="OS-TRUST:trust")
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: SystemRef | None = None
    unscoped: Any = None

    def named(self) -> str:
        """Which one of them is asked for.  InvalidInput"""
        given = [name for name in ("project", "domain", "system", "unscoped", "trust") if name in self.model_fields_set]
        if len(given) != 1:
            raise expecting("project, domain, system, OS-TRUST:trust or unscoped", "scope")
        return given[0]


class AuthPart(Part):
    identity: IdentityPart
    scope: ScopePart | Literal["unscoped"] | None = None


class AuthBody(Part):
    auth: AuthPart
