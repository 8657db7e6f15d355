"""The bodies that make and change registered limits and limits; several are made at once."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

from services.identity.api.schemas.resources import Fields
from services.identity.api.schemas.texts import Id, Name, Text

Amount = Annotated[StrictInt, Field(ge=-1, le=0x7FFFFFFF)]  # -1: without end
RegionId = Annotated[Text, Field(max_length=255)]


class LimitFields(Fields):
    model_config = ConfigDict(frozen=True, extra="forbid")

    description: Text | None = None


class NewRegisteredLimit(LimitFields):
    service_id: Id
    region_id: RegionId | None = None
    resource_name: Name
    default_limit: Amount


class ChangedRegisteredLimit(LimitFields):
    service_id: Id = ""
    region_id: RegionId | None = None
    resource_name: Name = ""
    default_limit: Amount = 0


class RegisteredLimitsBody(BaseModel):
    registered_limits: Annotated[list[NewRegisteredLimit], Field(min_length=1)]


class RegisteredLimitBody(BaseModel):
    registered_limit: ChangedRegisteredLimit


class NewLimit(LimitFields):
    """Of one project or of one domain."""

    project_id: Id | None = None
    domain_id: Id | None = None
    service_id: Id
    region_id: RegionId | None = None
    resource_name: Name
    resource_limit: Amount

    @model_validator(mode="after")
    def _of_one(self) -> Any:
        if (self.project_id is None) == (self.domain_id is None):
            raise ValueError("Either 'project_id' or 'domain_id' is a required property")
        return self


class ChangedLimit(LimitFields):
    resource_limit: Amount = 0


class LimitsBody(BaseModel):
    limits: Annotated[list[NewLimit], Field(min_length=1)]


class LimitBody(BaseModel):
    limit: ChangedLimit
