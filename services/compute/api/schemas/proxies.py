"""Bodies that went on to the volume and the network service, until 2.35."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field, StrictStr

from services.compute.api.schemas.parts import Boolean, Id, Part, Positive, refuse


def _size(value: Any) -> Any:
    if value == "" or isinstance(value, bool):
        raise refuse(f"{value!r:.64} does not match '^[0-9]+$'")
    return value


class Loose(Part):
    """What Nova never looked at closely, and does not now."""

    model_config = ConfigDict(extra="allow", strict=True)


class NewVolume(Part):
    size: Annotated[Positive, BeforeValidator(_size)]
    volume_type: StrictStr | None = None
    metadata: dict[str, Any] = {}
    snapshot_id: StrictStr | None = None
    availability_zone: StrictStr | None = None
    display_name: StrictStr | None = None
    display_description: StrictStr | None = None


class CreateVolume(Part):
    volume: NewVolume


class NewSnapshot(Part):
    volume_id: StrictStr
    force: Boolean = False
    display_name: StrictStr | None = None
    display_description: StrictStr | None = None


class CreateSnapshot(Part):
    snapshot: NewSnapshot


class Group(Loose):
    name: Annotated[StrictStr, Field(max_length=255)]
    description: Annotated[StrictStr, Field(max_length=255)]


class WriteGroup(Loose):
    security_group: Group


class NewRule(Loose):
    null_since: ClassVar = {"group_id": 1}

    parent_group_id: Id
    group_id: Id | None = None


class CreateRule(Loose):
    security_group_rule: NewRule
