"""Bodies that make credentials, application credentials and trusts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)

from services.identity.api.schemas.auth import DomainRef
from services.identity.api.schemas.texts import Additions, Id, Name, Text

LONGEST_BLOB = 65_535
MOST_RULES_BYTES = 4096  # each token carries them, and a token travels in a header


def _moment(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise ValueError(f"{given[:64]!r} is not a 'date-time'") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


Moment = Annotated[datetime, BeforeValidator(_moment)]


class Open(BaseModel):
    """What is not named is kept and shown as it came."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: Additions

    def additions(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class NewCredential(Open):
    user_id: Id | None = None
    project_id: Id | None = None
    type: Annotated[Text, StringConstraints(min_length=1, max_length=255)]
    blob: Annotated[Text, StringConstraints(max_length=LONGEST_BLOB)] = Field(repr=False)


class CredentialBody(BaseModel):
    credential: NewCredential


class ChangedCredential(Open):
    """Only the blob can become another one."""

    user_id: Id | None = None
    project_id: Id | None = None
    type: Text | None = None
    blob: Annotated[Text, StringConstraints(max_length=LONGEST_BLOB)] | None = Field(None, repr=False)


class CredentialChange(BaseModel):
    credential: ChangedCredential


class NewEc2Credential(BaseModel):
    model_config = ConfigDict(frozen=True)

    tenant_id: Id


class RoleRef(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: Id | None = None
    name: Name | None = None
    domain: DomainRef | None = None

    @model_validator(mode="after")
    def _names_one(self) -> RoleRef:
        if self.id is None and self.name is None:
            raise ValueError("A role needs an id or a name")
        return self


class RuleRef(BaseModel):
    """A rule of the user's by its id, or what it allows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id | None = None
    service: Annotated[Text, StringConstraints(min_length=1, max_length=64)] | None = None
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] | None = None
    path: Annotated[Text, StringConstraints(min_length=1, max_length=128, pattern="^/")] | None = None

    @model_validator(mode="after")
    def _says_enough(self) -> RuleRef:
        if self.id is None and None in (self.service, self.method, self.path):
            raise ValueError("An access rule needs an id, or service, method and path")
        return self


class NewApplicationCredential(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    description: Text | None = None
    secret: Annotated[Text, StringConstraints(min_length=1, max_length=255)] | None = Field(None, repr=False)
    expires_at: Moment | None = None
    unrestricted: StrictBool | None = None
    roles: list[RoleRef] = Field(default_factory=list, max_length=255)
    access_rules: list[RuleRef] | None = Field(None, max_length=64)
    project_id: Id | None = None
    user_id: Id | None = None
    id: Id | None = None


class ApplicationCredentialBody(BaseModel):
    application_credential: NewApplicationCredential


class NewTrust(Open):
    trustor_user_id: Id
    trustee_user_id: Id
    impersonation: StrictBool
    project_id: Id | None = None
    roles: list[RoleRef] = Field(default_factory=list, max_length=255)
    expires_at: Moment | None = None
    remaining_uses: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] | None = None
    allow_redelegation: StrictBool = False
    redelegation_count: Annotated[StrictInt, Field(ge=0, le=1000)] | None = None


class TrustBody(BaseModel):
    trust: NewTrust


class SignedPart(BaseModel):
    """A request to EC2 or S3, as the service that got it tells of it."""

    model_config = ConfigDict(frozen=True)

    access: Annotated[Text, StringConstraints(min_length=1, max_length=255)]
    signature: Annotated[str, StringConstraints(max_length=512)] = Field(repr=False)
    token: str = ""  # S3: the text that was signed, in base64
    host: str = ""
    verb: str = ""
    path: str = "/"
    params: dict[str, str | int] = Field(default_factory=dict)
    headers: dict[str, str | int] = Field(default_factory=dict)
    body_hash: str = ""


class Ec2Body(BaseModel):
    credentials: SignedPart
