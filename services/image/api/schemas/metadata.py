"""Objects, properties and tags of metadata definitions on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from services.image.api.schemas.images import Text, stamped
from services.image.core.metadata_definitions import PLURAL, Kind, Part

Short = Annotated[Text, Field(min_length=1, max_length=80)]
Count = Annotated[StrictInt, Field(ge=0)]
Type = Literal["array", "boolean", "integer", "number", "object", "string"]


class TagBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: Short

    def body(self) -> dict[str, Any]:
        return {}


class Described(BaseModel):
    """What a property may say of itself; all else is refused."""

    model_config = ConfigDict(extra="forbid")

    title: Text | None = None
    description: Text | None = None
    type: Type | None = None
    operators: list[Text] | None = None
    required: list[Text] | None = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    maxLength: Count | None = None
    minLength: Count | None = None
    pattern: Text | None = None
    enum: list[Any] | None = None
    readonly: StrictBool | None = None
    default: Any = None
    items: dict[str, Any] | None = None
    maxItems: Count | None = None
    minItems: Count | None = None
    uniqueItems: StrictBool | None = None
    additionalItems: StrictBool | None = None


class PropertyBody(Described):
    name: Annotated[Text, Field(min_length=1, max_length=255)]
    title: Annotated[Text, Field(max_length=80)]
    type: Type
    created_at: Any = Field(None, exclude=True)
    updated_at: Any = Field(None, exclude=True)

    def body(self) -> dict[str, Any]:
        return self.model_dump(exclude={"name"}, exclude_none=True)


class ObjectBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: Short
    description: Text | None = None
    required: list[Text] | None = None
    properties: dict[Short, Described] | None = None

    def body(self) -> dict[str, Any]:
        return self.model_dump(exclude={"name"}, exclude_none=True)


class ManyTags(BaseModel):
    tags: list[TagBody]


BODIES: dict[Kind, type[TagBody] | type[PropertyBody] | type[ObjectBody]] = {
    Kind.TAG: TagBody,
    Kind.PROPERTY: PropertyBody,
    Kind.OBJECT: ObjectBody,
}


def shown_part(namespace: str, part: Part) -> dict[str, Any]:
    """An object names its place; properties and tags do not."""
    answer = {
        "name": part.name,
        **part.body,
        "created_at": stamped(part.created_at),
        "updated_at": stamped(part.updated_at),
    }
    if part.kind is Kind.OBJECT:
        answer["self"] = f"/v2/metadefs/namespaces/{namespace}/{PLURAL[part.kind]}/{part.name}"
        answer["schema"] = "/v2/schemas/metadefs/object"
    return answer
