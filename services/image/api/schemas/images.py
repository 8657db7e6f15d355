"""Images on the wire: what a request may hold, what an answer shows, and the JSON schema that clients ask for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
)

from common.errors import InvalidInput, TooLarge
from common.http.invalid import parsed
from services.image.core.images import CONTAINER_FORMATS, DISK_FORMATS, Attributes, Image, Status, Visibility

LONGEST_NAME = 255
LONGEST_VALUE = 65_535
LARGEST_MINIMUM = (1 << 31) - 1


def _storable(text: str) -> str:
    """Databases take no NUL, and half a surrogate pair is no text."""
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("it holds characters that cannot be stored")
    return text


Text = Annotated[StrictStr, AfterValidator(_storable)]
Short = Annotated[Text, Field(max_length=LONGEST_NAME)]
Minimum = Annotated[StrictInt, Field(ge=0, le=LARGEST_MINIMUM)]


class ImageBody(BaseModel):
    """Attributes that a user may set; every other key is a property, a string."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Short, Annotated[Text, Field(max_length=LONGEST_VALUE)]]

    name: Short | None = None
    owner: Short | None = None
    visibility: Literal["public", "private", "shared", "community"] = "shared"
    protected: StrictBool = False
    os_hidden: StrictBool = False
    disk_format: Literal[DISK_FORMATS] | None = None  # type: ignore[valid-type]
    container_format: Literal[CONTAINER_FORMATS] | None = None  # type: ignore[valid-type]
    min_disk: Minimum = 0
    min_ram: Minimum = 0
    tags: list[Short] = []

    @field_validator("tags")
    @classmethod
    def _once(cls, tags: list[str]) -> list[str]:
        return sorted(set(tags))


SETTABLE = frozenset(ImageBody.model_fields)


class PatchStep(BaseModel):
    """One operation of a patch, in the form of v2.1."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: Any = None


class Patch(RootModel[list[PatchStep]]):
    """Told to readers of the API; `core/patches.py` reads the older form, too."""


def attributes_of(body: Mapping[str, Any], *, max_properties: int, max_tags: int) -> Attributes:
    """The attributes that a body asks for.  InvalidInput; TooLarge for more properties or tags than an image may have"""
    if not isinstance(body, dict):
        raise InvalidInput("The request body must be a JSON object.")
    read = parsed(ImageBody, body)
    properties = dict(read.model_extra or {})
    if "" in properties:
        raise InvalidInput("A property must have a name")
    if len(properties) > max_properties:
        raise TooLarge(f"An image may have {max_properties} properties, not {len(properties)}")
    if len(read.tags) > max_tags:
        raise TooLarge(f"An image may have {max_tags} tags, not {len(read.tags)}")
    plain = read.model_dump(include=set(SETTABLE - {"tags", "visibility"}))
    return Attributes(**plain, visibility=Visibility(read.visibility), tags=tuple(read.tags), properties=properties)


def body_of(attributes: Attributes) -> dict[str, Any]:
    """The attributes as a create request would spell them."""
    plain: dict[str, Any] = {name: getattr(attributes, name) for name in SETTABLE - {"tags", "visibility"}}
    return (
        plain | {"tags": list(attributes.tags), "visibility": str(attributes.visibility)} | dict(attributes.properties)
    )


def shown(image: Image, *, location: str | None = None) -> dict[str, Any]:
    """The image as answers have it; `location` only for those who may know where the bytes are."""
    content, attributes = image.content, image.attributes
    answer: dict[str, Any] = {
        **attributes.properties,
        "name": attributes.name,
        "disk_format": attributes.disk_format,
        "container_format": attributes.container_format,
        "visibility": str(attributes.visibility),
        "size": content.size if content else None,
        "virtual_size": content.virtual_size if content else None,
        "status": str(image.status),
        "checksum": content.md5 if content else None,
        "protected": attributes.protected,
        "min_ram": attributes.min_ram,
        "min_disk": attributes.min_disk,
        "owner": attributes.owner,
        "os_hidden": attributes.os_hidden,
        "os_hash_algo": "sha512" if content else None,
        "os_hash_value": content.sha512 if content else None,
        "id": str(image.id),
        "created_at": stamped(image.created_at),
        "updated_at": stamped(image.updated_at),
        "tags": list(attributes.tags),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }
    if image.stores:
        answer["stores"] = ",".join(image.stores)
    if location is not None:
        answer["direct_url"] = location
    return answer


def stamped(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _maybe(description: str, **more: Any) -> dict[str, Any]:
    return {"type": ["null", "string"], "description": description, **more}


def _number(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "description": description, **more}


UUID_PATTERN = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
READ = {"readOnly": True}

# fmt: off
PROPERTIES: dict[str, dict[str, Any]] = {
    "id":               _text("An identifier for the image", pattern=UUID_PATTERN),
    "name":             _maybe("Descriptive name for the image", maxLength=LONGEST_NAME),
    "status":           _text("Status of the image", enum=[*map(str, Status), "killed", "deleted", "pending_delete"], **READ),
    "visibility":       _text("Who may see and use the image", enum=[str(one) for one in Visibility]),
    "protected":        {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden":        {"type": "boolean", "description": "If true, lists leave the image out unless asked."},
    "checksum":         _maybe("md5 hash of image contents.", maxLength=32, **READ),
    "os_hash_algo":     _maybe("Algorithm of os_hash_value", maxLength=64, **READ),
    "os_hash_value":    _maybe("Hash of the image's contents", maxLength=128, **READ),
    "owner":            _maybe("Project that owns the image", maxLength=LONGEST_NAME),
    "size":             {"type": ["null", "integer"], "description": "Bytes of the image file", **READ},
    "virtual_size":     {"type": ["null", "integer"], "description": "Bytes of the disk that the image describes", **READ},
    "container_format": _maybe("Format of the container", enum=[None, *CONTAINER_FORMATS]),
    "disk_format":      _maybe("Format of the disk", enum=[None, *DISK_FORMATS]),
    "created_at":       _text("Date and time of image registration", **READ),
    "updated_at":       _text("Date and time of the last image modification", **READ),
    "tags":             {"type": "array", "description": "Strings that mark the image",
                         "items": {"type": "string", "maxLength": LONGEST_NAME}},
    "stores":           _text("Stores that hold the bytes, with commas between them", **READ),
    "direct_url":       _text("Where the bytes are, for services only", **READ),
    "min_ram":          _number("MiB of memory that a server needs at least", minimum=0, maximum=LARGEST_MINIMUM),
    "min_disk":         _number("GiB of disk that a server needs at least", minimum=0, maximum=LARGEST_MINIMUM),
    "self":             _text("Path of the image", **READ),
    "file":             _text("Path of the image's bytes", **READ),
    "schema":           _text("Path of this schema", **READ),
    "kernel_id":        _maybe("Image to boot as kernel", pattern=UUID_PATTERN, is_base=False),
    "ramdisk_id":       _maybe("Image to use as ramdisk", pattern=UUID_PATTERN, is_base=False),
    "instance_uuid":    _text("Server that the image was made from", is_base=False),
    "architecture":     _text("Processor architecture of the operating system", is_base=False),
    "os_distro":        _text("Common name of the operating system distribution", is_base=False),
    "os_version":       _text("Version of the operating system, as the distribution says it", is_base=False),
    "description":      _text("A human-readable string describing this image.", is_base=False),
}
# fmt: on

IMAGE_SCHEMA: dict[str, Any] = {
    "name": "image",
    "properties": PROPERTIES,
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
IMAGES_SCHEMA: dict[str, Any] = {
    "name": "images",
    "properties": {
        "images": {"type": "array", "items": IMAGE_SCHEMA},
        "first": {"type": "string"},
        "next": {"type": "string"},
        "schema": {"type": "string"},
    },
    "links": [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
