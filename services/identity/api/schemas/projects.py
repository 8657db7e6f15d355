"""The bodies that make and change a project, and the tags of one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StringConstraints

from services.identity.api.schemas.resources import Fields, Options
from services.identity.api.schemas.texts import Id, ProjectName, Text


def _each_once(tags: list[str]) -> list[str]:
    if len(set(tags)) != len(tags):
        raise ValueError(f"{tags!r} has non-unique elements")
    return tags


Tag = Annotated[Text, StringConstraints(min_length=1, max_length=255, pattern=r"^[^,/]*$")]
Tags = Annotated[list[Tag], Field(max_length=80), AfterValidator(_each_once)]


class ProjectFields(Fields):
    description: Text | None = None
    enabled: StrictBool = True
    tags: Tags = Field(default_factory=list)
    options: Options = Field(default_factory=Options)


class NewProject(ProjectFields):
    name: ProjectName
    domain_id: Id | None = None
    parent_id: Id | None = None
    is_domain: StrictBool = False


class ChangedProject(ProjectFields):
    name: ProjectName = ""
    domain_id: Any = None  # these three only as they are
    parent_id: Any = None
    is_domain: Any = None


class ProjectBody(BaseModel):
    project: NewProject


class ProjectChangeBody(BaseModel):
    project: ChangedProject


class TagsBody(BaseModel):
    tags: Tags
