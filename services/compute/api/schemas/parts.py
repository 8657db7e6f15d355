"""What request bodies are made of, and how a body is read at one microversion.

A field that came or went says so in `since` and `until`: at other versions it is refused like a field that nobody knows.
What may be left out may not be null, unless `null_since` names it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr
from pydantic_core import PydanticCustomError

from common.errors import InvalidInput
from common.http.invalid import parsed
from services.compute.core.names import NOT_A_NAME, is_name, is_printable

M = TypeVar("M", bound="Part")

TRUE = (True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes")
FALSE = (False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no")
LONGEST_USER_DATA = 65_535
LARGEST_INT = 2_147_483_647
METADATA_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
HOSTNAME = re.compile(r"[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+")
FQDN = re.compile(r"[a-zA-Z0-9\-._]*")
KINDS = (
    (bool, "'boolean', 'string'"),
    (int, "'integer', 'string'"),
    (list, "'array'"),
    (dict, "'object'"),
    (BaseModel, "'object'"),
)


class Part(BaseModel):
    """A body, or an object in one: takes nothing that it does not name."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)

    since: ClassVar[Mapping[str, int]] = {}  # field -> first version that has it
    until: ClassVar[Mapping[str, int]] = {}  # field -> last one
    needed_since: ClassVar[Mapping[str, int]] = {}  # field -> first version that must have it, until it goes
    null_since: ClassVar[Mapping[str, int]] = {}  # field -> first version that takes null for it


def read(model: type[M], body: Any, version: int) -> M:
    """The body as this version has it.  InvalidInput in Nova's words."""
    found = parsed(model, body)
    for part, name, raw in _parts(found, None, body):
        _must_be_of(version, part, name, raw)
    return found


def _must_be_of(version: int, part: Part, name: str | None, raw: Any) -> None:
    place = f"Invalid input for field/attribute {name}. " if name else ""
    for field in part.model_fields_set & type(part).model_fields.keys():
        known = type(part).model_fields[field]
        written = known.alias or field
        if not part.since.get(field, 1) <= version <= part.until.get(field, version):
            raise InvalidInput(f"{place}Additional properties are not allowed ('{written}' was unexpected)")
        takes_null = known.annotation is Any or part.null_since.get(field, version + 1) <= version
        if getattr(part, field) is None and not takes_null:
            told = ", ".join(dict.fromkeys(_kinds(known.annotation)))
            raise InvalidInput(f"Invalid input for field/attribute {written}. Value: None. None is not of type {told}")
    for field, since in part.needed_since.items():
        if since <= version <= part.until.get(field, version) and field not in part.model_fields_set:
            written = type(part).model_fields[field].alias or field
            raise InvalidInput(f"{place}Value: {raw}. '{written}' is a required property")


def _kinds(annotation: Any) -> Iterator[str]:
    """What JSON calls the values that a field takes, as Nova tells them; null is none of them."""
    shape, inner = get_origin(annotation), get_args(annotation)
    if shape is Annotated:
        yield from _kinds(inner[0])
    elif shape in (Union, UnionType):
        for one in inner:
            yield from _kinds(one)
    elif annotation is not NoneType:
        of = type(inner[0]) if shape is Literal else shape or annotation
        yield next((told for kind, told in KINDS if issubclass(of, kind)), "'string'")


def _parts(part: Part, name: str | None, raw: Any) -> Iterator[tuple[Part, str | None, Any]]:
    yield part, name, raw
    for field in part.model_fields_set & type(part).model_fields.keys():
        written = type(part).model_fields[field].alias or field
        inner, given = getattr(part, field), raw.get(written) if isinstance(raw, dict) else None
        if isinstance(inner, Part):
            yield from _parts(inner, written, given)
        elif isinstance(inner, list):
            for one, its in zip(inner, given or [], strict=False):
                if isinstance(one, Part):
                    yield from _parts(one, written, its)


# ---------------------------------------------------------------- checks


def refuse(message: str) -> PydanticCustomError:
    """What a validator raises: the sentence goes out as it stands."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def _name(value: str) -> str:
    if not is_name(value):
        raise refuse(NOT_A_NAME)
    return value


def printable(value: str) -> str:
    """The text, if it has no control characters."""
    if not is_printable(value):
        raise refuse(f"{value!r:.64} does not match the pattern of printable characters")
    return value


def _truth(value: Any) -> bool:
    for known, meaning in ((TRUE, True), (FALSE, False)):
        if any(value is one or (isinstance(one, str) and value == one) for one in known):
            return meaning
    if not isinstance(value, bool | str):
        raise refuse(f"{value!r:.64} is not of type 'boolean', 'string'")
    raise refuse(f"{value!r:.64} is not one of {[*TRUE, *FALSE]}")


def _whole(value: Any) -> Any:
    """Whole numbers may be written as text."""
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise refuse(f"{value!r:.64} does not match '^[0-9]*$'")
        return int(value)
    return value


def _base64(value: str) -> str:
    try:
        base64.b64decode(value.encode("ascii"), validate=False)
        if re.search(r"[^A-Za-z0-9+/=\s]", value):
            raise ValueError("not of the alphabet")
    except (ValueError, binascii.Error) as error:
        raise refuse(f"{value!r:.64} is not a 'base64'") from error
    return value


def _address(version: int) -> Any:
    def check(value: str) -> str:
        if value == "":
            return value
        try:
            found = ip_address(value)
        except ValueError as error:
            raise refuse(f"{value!r:.64} is not a 'ipv{version}'") from error
        if found.version != version:
            raise refuse(f"{value!r:.64} is not a 'ipv{version}'")
        return str(found)  # as everybody writes it, however it was given

    return check


def _metadata(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if METADATA_KEY.fullmatch(key) is None:
            raise refuse(f"Additional properties are not allowed ({key!r:.64} was unexpected)")
        if len(text) > 255:
            raise refuse(f"{text[:255]!r} is too long")
        if "\0" in text:
            raise refuse(f"{text[:64]!r} holds a character that no text may hold")
    return value


def _tag(value: str) -> str:
    if re.search(r"[,/]", value) or not is_printable(value):
        raise refuse(f"{value!r:.64} does not match '^[^,/]*$'")
    return value


def _host_name(value: str) -> str:
    if FQDN.fullmatch(value) is None:
        raise refuse(f"{value!r:.64} does not match '^[a-zA-Z0-9-._]*$'")
    return value


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str):
        raise refuse(f"{value!r:.64} is not of type 'string'")
    try:
        found = UUID(value)
    except ValueError as error:
        raise refuse(f"{value!r:.64} is not a 'uuid'") from error
    if value.lower() not in (str(found), found.hex):
        raise refuse(f"{value!r:.64} is not a 'uuid'")
    return found


# fmt: off
Name        = Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(_name)]
Description = Annotated[Annotated[StrictStr, Field(max_length=255), AfterValidator(printable)] | None, Field()]
Text255     = Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(printable)]
Boolean     = Annotated[bool, BeforeValidator(_truth)]
Positive    = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=LARGEST_INT)]
NotNegative = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=LARGEST_INT)]
UserData    = Annotated[StrictStr, Field(max_length=LONGEST_USER_DATA), AfterValidator(_base64)]
Base64      = Annotated[StrictStr, AfterValidator(_base64)]
AddressV4   = Annotated[StrictStr, AfterValidator(_address(4))]
AddressV6   = Annotated[StrictStr, AfterValidator(_address(6))]
Metadata    = Annotated[dict[StrictStr, StrictStr], AfterValidator(_metadata)]
Tag         = Annotated[StrictStr, Field(min_length=1, max_length=60), AfterValidator(_tag)]
HostName    = Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(_host_name)]
Id          = Annotated[UUID, BeforeValidator(_uuid)]
# fmt: on
