"""The bodies that make and change a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, field_validator

from common.errors import InvalidInput
from services.identity.api.schemas.texts import Additions, Id, Text, UserName

Method = Annotated[Text, StringConstraints(min_length=1, max_length=64)]


def _has_twins(many: Sequence[object]) -> bool:
    return any(one in many[:place] for place, one in enumerate(many))


class UserOptions(BaseModel):
    """Exceptions from rules for one user.  None takes an option away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ignore_change_password_upon_first_use: StrictBool | None = None
    ignore_password_expiry: StrictBool | None = None
    ignore_lockout_failure_attempts: StrictBool | None = None
    lock_password: StrictBool | None = None
    ignore_user_inactivity: StrictBool | None = None
    multi_factor_auth_enabled: StrictBool | None = None
    multi_factor_auth_rules: list[Annotated[list[Method], Field(min_length=1)]] | None = None

    @field_validator("multi_factor_auth_rules")
    @classmethod
    def _each_once(cls, rules: list[list[str]] | None) -> list[list[str]] | None:
        lists: list[Sequence[object]] = [rules or [], *(rules or [])]
        if any(_has_twins(many) for many in lists):
            raise ValueError(f"{rules!r} has non-unique elements")
        return rules

    def laid_over(self, present: dict[str, Any]) -> dict[str, Any]:
        """`present` with what was given; what is not named stays."""
        laid = present | {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in laid.items() if value is not None}


class UserFields(BaseModel):
    """What is not named here (email, description …) is kept and shown as it came."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: Additions

    id: Any = None  # ours to give: ignored when new, compared when changed
    default_project_id: Id | None = None
    enabled: StrictBool = True
    password: str | None = Field(None, repr=False)
    password_expires_at: Any = None  # shown, never taken
    options: UserOptions = UserOptions()
    federated: list[dict[str, Any]] | None = None
    links: Any = None  # ours

    def additions(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})

    def refuse_federation(self) -> None:
        """InvalidInput: no identity provider is known here."""
        for one in self.federated or ():
            raise InvalidInput(f"Could not find Identity Provider: {one.get('idp_id')}.")


class NewUser(UserFields):
    name: UserName
    domain_id: Id | None = None


class ChangedUser(UserFields):
    name: UserName = ""
    domain_id: Any = None  # only the one that it has


class UserBody(BaseModel):
    user: NewUser


class UserChangeBody(BaseModel):
    user: ChangedUser


class PasswordChange(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    original_password: str = Field(repr=False)
    password: str = Field(repr=False)


class PasswordChangeBody(BaseModel):
    user: PasswordChange
