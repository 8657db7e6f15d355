"""JSON patches on images: single operations on top-level attributes, in the form of v2.0 or of v2.1, which is also RFC 6902's.

Rules: Image API reference, v2, "Update image"; RFC 6902 and 6901 as far as the API takes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import Conflict, Forbidden, InvalidInput
from services.image.core.images import FORBIDDEN, READ_ONLY, RESERVED_PREFIX, Status

V21 = "application/openstack-images-v2.1-json-patch"
V20 = "application/openstack-images-v2.0-json-patch"
RFC6902 = "application/json-patch+json"
MEDIA_TYPES = (RFC6902, V20, V21)

MAX_OPERATIONS = 1000
LOCATIONS = "locations"
DEPTHS = {"add": 2, "remove": 2, "replace": 1}  # of a pointer into the locations; all others have one step
DOES = {"add": "add", "remove": "remove", "replace": "update"}


@dataclass(frozen=True, slots=True)
class Operation:
    op: str  # add, replace or remove
    name: str  # of the attribute
    value: Any = None
    must_be_new: bool = False  # what it adds may not be there yet


def read_patch(body: object, media_type: str) -> list[Operation]:
    """The operations of a patch document.  InvalidInput"""
    if not isinstance(body, list):
        raise InvalidInput("Request body must be a JSON array of operation objects.")
    if len(body) > MAX_OPERATIONS:
        raise InvalidInput(f"A patch may hold {MAX_OPERATIONS} operations")
    return [_operation(one, newer=media_type != V20) for one in body]


def _operation(raw: object, *, newer: bool) -> Operation:
    if not isinstance(raw, dict):
        raise InvalidInput("Operations must be JSON objects.")
    op, path = (raw.get("op"), raw.get("path")) if newer else _old_form(raw)
    if op not in ("add", "replace", "remove"):
        raise InvalidInput("Operations must be 'add', 'replace' or 'remove', and name it in 'op'")
    if not isinstance(path, str):
        raise InvalidInput("Operation must contain the 'path' it is about")
    if op != "remove" and "value" not in raw:
        raise InvalidInput(f'Operation "{op}" requires a member named "value".')
    return Operation(op, _name(path, op), raw.get("value"), must_be_new=op == "add" and not newer)


def _old_form(raw: Mapping[str, object]) -> tuple[str | None, object]:
    named = [op for op in ("add", "replace", "remove") if op in raw]
    if len(named) != 1:
        raise InvalidInput("Operation objects must contain exactly one of: add, replace, remove")
    return named[0], raw[named[0]]


def _name(pointer: str, op: str) -> str:
    """The attribute that a JSON pointer (RFC 6901) means."""
    if not pointer.startswith("/"):
        raise InvalidInput(f'Pointer `{pointer[:80]}` does not start with "/".')
    name, *deeper = pointer[1:].split("/")
    if 1 + len(deeper) != (DEPTHS[op] if name == LOCATIONS else 1):
        raise InvalidInput(f"Invalid JSON pointer for this resource: '{pointer[:80]}'")
    if not name or "~" in name.replace("~0", "").replace("~1", ""):
        raise InvalidInput(f"Pointer `{pointer[:80]}` is not a valid JSON pointer")
    return name.replace("~1", "/").replace("~0", "~")


def patched(
    body: Mapping[str, Any], operations: Collection[Operation], *, status: Status, settable: Collection[str]
) -> dict[str, Any]:
    """`body`, an image as a create request would spell it, after the operations.  Forbidden, Conflict

    `settable` are the attributes that every image has; all other names are properties.
    """
    result = dict(body)
    for one in operations:
        if one.name == LOCATIONS:
            _refuse_place(one)
        refuse_untouchable(one.name)
        if one.must_be_new and (one.name in settable or one.name in result):
            raise Conflict(f"Property {one.name} already present.")
        if one.name in settable:
            _refuse_on_attribute(one, status)
        elif one.op != "add" and one.name not in result:
            raise Conflict(f"Property {one.name} does not exist.")
        if one.op == "remove":
            del result[one.name]
        else:
            result[one.name] = one.value
    return result


def refuse_untouchable(name: str) -> None:
    """Forbidden if users may not set the attribute of this name."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in FORBIDDEN or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def _refuse_place(one: Operation) -> None:
    """Nobody sees the places of bytes as an attribute of images, so nobody sets them."""
    if one.op == "replace" and not one.value:
        raise Forbidden("Cannot set locations to empty list.")
    raise Forbidden(f"It's not allowed to {DOES[one.op]} locations if locations are invisible.")


def _refuse_on_attribute(one: Operation, status: Status) -> None:
    if one.op == "remove":
        raise Forbidden(f"Property {one.name} may not be removed.")
    if one.name in ("disk_format", "container_format") and status is not Status.QUEUED:
        raise Forbidden(f"Attribute {one.name} can be only replaced for a queued image.")
