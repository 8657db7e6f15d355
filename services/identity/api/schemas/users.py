"""The body that makes a user."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from services.identity.api.schemas.texts import Additions, Id, Name, Nothing


class NewUser(BaseModel):
    """What is not named here (email, description …) is kept and shown as it came."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: Additions

    name: Name
    domain_id: Id | None = None
    default_project_id: Id | None = None
    enabled: StrictBool = True
    password: str | None = Field(None, repr=False)
    options: Nothing = Field(default_factory=dict)

    def additions(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class UserBody(BaseModel):
    user: NewUser
