"""The bodies that make and change a role."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from services.identity.api.schemas.texts import Additions, Id, Name, Text


class RoleOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    immutable: StrictBool | None = None  # None takes the option away


class NewRole(BaseModel):
    """What is not named here is kept and shown as it came."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: Additions

    name: Name
    description: Text | None = None
    domain_id: Id | None = None
    options: RoleOptions = Field(default_factory=RoleOptions)

    def additions(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class RoleBody(BaseModel):
    role: NewRole


class RoleChange(NewRole):
    """Only what is named changes."""

    name: Name = ""

    @model_validator(mode="after")
    def something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("{} does not have enough properties")
        return self


class RoleChangeBody(BaseModel):
    role: RoleChange
