"""The body that makes a project."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from services.identity.api.schemas.texts import Additions, Id, Nothing, ProjectName, Text

Tag = Annotated[Text, StringConstraints(min_length=1, max_length=255, pattern=r"^[^,/]*$")]


class NewProject(BaseModel):
    """What is not named here is kept and shown as it came."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: Additions

    name: ProjectName
    domain_id: Id | None = None
    parent_id: Id | None = None
    description: Text | None = None
    enabled: StrictBool = True
    is_domain: Literal[False] = False
    tags: list[Tag] = Field(default_factory=list, max_length=80)
    options: Nothing = Field(default_factory=dict)

    def additions(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class ProjectBody(BaseModel):
    project: NewProject
