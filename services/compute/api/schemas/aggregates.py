"""Bodies about host aggregates."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, StrictStr

from services.compute.api.schemas.parts import METADATA_KEY, HostName, Id, Name, Part, refuse


def _zone(value: str) -> str:
    if ":" in value:
        raise refuse(f"{value!r:.64} does not match the pattern of availability zones, which have no colon")
    return value


def _items(value: dict[str, Any]) -> dict[str, str | None]:
    """Null takes an item away."""
    for key, text in value.items():
        if METADATA_KEY.fullmatch(key) is None:
            raise refuse(f"Additional properties are not allowed ({key!r:.64} was unexpected)")
        if text is not None and not isinstance(text, str):
            raise refuse(f"{text!r:.64} is not of type 'string', 'null'")
        if text is not None and (len(text) > 255 or "\0" in text):
            raise refuse(f"{text[:64]!r} is too long")
    return value


Zone = Annotated[Name, AfterValidator(_zone)]


class NewAggregate(Part):
    null_since: ClassVar = {"availability_zone": 1}

    name: Name
    availability_zone: Zone | None = None


class CreateAggregate(Part):
    aggregate: NewAggregate


class ChangedAggregate(Part):
    null_since: ClassVar = {"availability_zone": 1}

    name: Name | None = None
    availability_zone: Zone | None = None


class UpdateAggregate(Part):
    aggregate: ChangedAggregate


class OneHost(Part):
    host: HostName


class AggregateMetadata(Part):
    metadata: Annotated[dict[StrictStr, Any], AfterValidator(_items)]


class AnImage(Part):
    id: Id


class CacheImages(Part):
    cache: Annotated[list[AnImage], Field(min_length=1)]
