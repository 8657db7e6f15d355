"""Bodies about flavors."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, RootModel, StrictStr

from services.compute.api.schemas.parts import Boolean, Name, NotNegative, Part, Positive, refuse
from services.compute.core.names import is_printable

FLAVOR_ID = re.compile(r"(?! )[a-zA-Z0-9. _-]+(?<! )")
SPEC_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
PROJECT_ID = re.compile(r"[a-zA-Z0-9-]*")


def _id(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refuse(f"{value!r:.64} is not of type 'string', 'number', 'null'")
    text = str(value)
    if not 1 <= len(text) <= 255 or FLAVOR_ID.fullmatch(text) is None:
        raise refuse(f"{text!r:.64} does not match '^(?! )[a-zA-Z0-9. _-]+(?<! )$'")
    return text


def _factor(value: Any) -> Any:
    if isinstance(value, str):
        if re.fullmatch(r"[0-9]{1,38}(\.[0-9]{1,38})?", value) is None:
            raise refuse(f"{value!r:.64} does not match '^[0-9]+(\\.[0-9]+)?$'")
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text(value: str | None) -> str | None:
    if value is not None and not is_printable(value):
        raise refuse(f"{value!r:.64} does not match the pattern of printable characters")
    return value


def _specs(value: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, given in value.items():
        if SPEC_KEY.fullmatch(key) is None:
            raise refuse(f"Additional properties are not allowed ({key!r:.64} was unexpected)")
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise refuse(f"{given!r:.64} is not of type 'string', 'number'")
        if len(text := str(given)) > 255 or "\0" in text:
            raise refuse(f"{text[:64]!r} is too long" if len(text) > 255 else f"{text!r:.64} is no text")
        found[key] = text
    return found


def _project(value: str) -> str:
    if PROJECT_ID.fullmatch(value) is None:
        raise refuse(f"{value!r:.64} does not match '^[a-zA-Z0-9-]*$'")
    return value


FlavorText = Annotated[StrictStr | None, Field(max_length=65_535), AfterValidator(_text)]
Factor = Annotated[float, BeforeValidator(_factor), Field(gt=0, le=3.40282e38)]
Specs = Annotated[dict[StrictStr, Any], AfterValidator(_specs)]
ProjectId = Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(_project)]


class NewFlavor(Part):
    since: ClassVar = {"description": 55}
    null_since: ClassVar = {"id": 1, "description": 55}
    until: ClassVar = {"rxtx_factor": 101}

    name: Name
    id: Annotated[str | None, BeforeValidator(_id)] = None
    ram: Positive
    vcpus: Positive
    disk: NotNegative
    ephemeral: NotNegative = Field(0, alias="OS-FLV-EXT-DATA:ephemeral")
    swap: NotNegative = 0
    rxtx_factor: Factor = 1.0
    is_public: Boolean = Field(True, alias="os-flavor-access:is_public")
    description: FlavorText = None


class CreateFlavor(Part):
    flavor: NewFlavor


class ChangedFlavor(Part):
    null_since: ClassVar = {"description": 55}

    description: FlavorText


class UpdateFlavor(Part):
    flavor: ChangedFlavor


class ExtraSpecs(Part):
    extra_specs: Specs


class OneExtraSpec(RootModel[Specs]):
    """`{key: value}`, as the path names it."""


class Access(Part):
    tenant: ProjectId


class AddAccess(Part):
    access: Access = Field(alias="addTenantAccess")


class RemoveAccess(Part):
    access: Access = Field(alias="removeTenantAccess")
