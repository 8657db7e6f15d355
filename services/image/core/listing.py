"""What a list of images is asked for: filters, order and page, read from the query string.

Rules: Image API reference, v2, "List images" (filters, operators, sorting, pagination).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from common.errors import InvalidInput
from services.image.core.images import Visibility

DEFAULT_PAGE, LARGEST_PAGE = 25, 1000
LARGEST_NUMBER = (1 << 63) - 1
HASH = "sha512"

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
TEXTS = frozenset({"name", "status", "owner", "container_format", "disk_format", "checksum", "os_hash_value"})
SEVERAL = frozenset({"name", "status", "container_format", "disk_format", "id"})  # take the operator `in:`
NUMBERS = frozenset({"size", "min_disk", "min_ram", "virtual_size"})
BOOLEANS = frozenset({"protected", "os_hidden"})
TIMES = frozenset({"created_at", "updated_at"})
OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")


class Is(StrEnum):
    """How an attribute must compare."""

    EQUAL, OTHER = "eq", "neq"
    ABOVE, AT_LEAST = "gt", "gte"
    BELOW, AT_MOST = "lt", "lte"
    ONE_OF = "in"


Value = str | int | bool | datetime | UUID | None


@dataclass(frozen=True, slots=True)
class Filter:
    """An attribute must compare so to a value; `ONE_OF` takes several."""

    attribute: str
    how: Is
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    attribute: str
    descends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of images, as asked for."""

    filters: tuple[Filter, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    visibility: Visibility | None = None
    every_visibility: bool = False  # community images too
    member_status: str = "accepted"
    sorts: tuple[Sort, ...] = field(default=(Sort("created_at", True), Sort("id", True)))
    limit: int = DEFAULT_PAGE
    marker: UUID | None = None


def read_listing(query: Sequence[tuple[str, str]]) -> Listing:
    """The listing that these query parameters ask for.  InvalidInput"""
    filters: list[Filter] = []
    properties: list[tuple[str, str]] = []
    for name, text in query:
        if "\0" in text or "\0" in name:
            raise InvalidInput(f"Invalid value for filter {name!r}")
        if name in _NOT_FILTERS:
            continue
        if (found := _filter(name, text)) is not None:
            filters.append(found)
        else:
            properties.append((name, text))
    if not any(one.attribute == "os_hidden" for one in filters):
        filters.append(Filter("os_hidden", Is.EQUAL, (False,)))
    asked = dict(query)
    if "changes-since" in asked:
        raise InvalidInput('The "changes-since" filter is no longer available on v2.')
    visibility = asked.get("visibility")
    return Listing(
        filters=tuple(filters),
        properties=tuple(properties),
        tags=tuple(text for name, text in query if name == "tag"),
        visibility=_visibility(visibility),
        every_visibility=visibility == "all",
        member_status=_member_status(asked.get("member_status", "accepted")),
        sorts=read_sorts(query),
        limit=_limit(asked.get("limit")),
        marker=_marker(asked.get("marker")),
    )


_NOT_FILTERS = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "tag", "visibility", "member_status"})


def _filter(name: str, text: str) -> Filter | None:
    """None: no attribute of that name, so a property is meant."""
    stem = name.removesuffix("_min").removesuffix("_max")
    if name != stem and stem in NUMBERS:
        return Filter(stem, Is.AT_LEAST if name.endswith("_min") else Is.AT_MOST, (_number(name, text),))
    if name in SEVERAL and text.startswith("in:"):
        return Filter(name, Is.ONE_OF, tuple(_typed(name, part) for part in _parts(name, text[3:])))
    if name in SEVERAL and text.startswith("eq:"):
        return Filter(name, Is.EQUAL, (_typed(name, text[3:]),))
    if name in TIMES:
        return _time_filter(name, text)
    if name == "os_hash_algo":  # of whatever has a hash it is the same
        return Filter("os_hash_value", Is.OTHER, (None,)) if text == HASH else Filter("id", Is.EQUAL, (UUID(int=0),))
    if name in TEXTS | NUMBERS | BOOLEANS | {"id"}:
        return Filter(name, Is.EQUAL, (_typed(name, text),))
    return None


def _typed(name: str, text: str) -> Value:
    if name in NUMBERS:
        return _number(name, text)
    if name in BOOLEANS:
        return _boolean(name, text)
    if name == "id":
        return as_uuid(text) or UUID(int=0)  # no image has it
    return text


def _parts(name: str, text: str) -> Iterable[str]:
    """Values between commas; one in quotes may hold commas itself."""
    try:
        return [part for part in next(csv.reader([text], strict=True), []) if part]
    except csv.Error as error:
        raise InvalidInput(f"Invalid filter value {text!r} for {name}. Check its quotation marks.") from error


def _time_filter(name: str, text: str) -> Filter:
    operator, colon, rest = text.partition(":")
    if not colon or operator not in OPERATORS:
        operator, rest = "eq", text
        if colon and operator == "eq" and not text[:4].isdigit():
            raise InvalidInput(f"Unable to filter by {name}: unknown operator in {text!r}")
    try:
        at = datetime.fromisoformat(rest)
    except ValueError as error:
        raise InvalidInput(f"Unable to filter by {name}: {rest!r} is not an ISO 8601 time") from error
    return Filter(name, Is(operator), (at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC),))


def _number(name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise InvalidInput(f"Invalid value {text[:80]!r} for filter {name}: it must be a whole number") from error
    if not 0 <= number <= LARGEST_NUMBER:
        raise InvalidInput(f"Invalid value {text[:80]!r} for filter {name}: it is out of range")
    return number


def _boolean(name: str, text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if (found := known.get(text.lower())) is None:
        raise InvalidInput(f"Invalid value {text[:80]!r} for filter {name}: it must be true or false")
    return found


def _visibility(text: str | None) -> Visibility | None:
    if text in (None, "all"):
        return None
    try:
        return Visibility(str(text))
    except ValueError as error:
        raise InvalidInput(f"Invalid visibility value: {text}") from error


def _member_status(text: str) -> str:
    if text not in ("pending", "accepted", "rejected", "all"):
        raise InvalidInput(f"Invalid status: {text}")
    return text


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    try:
        limit = int(text)
    except ValueError as error:
        raise InvalidInput("limit param must be an integer") from error
    if limit < 0:
        raise InvalidInput("limit param must be positive")
    return min(limit, LARGEST_PAGE)


def _marker(text: str | None) -> UUID | None:
    if text is None:
        return None
    if (found := as_uuid(text)) is None:
        raise InvalidInput(f"No image found with ID {text}")
    return found


def as_uuid(text: str) -> UUID | None:
    """The id, if it is spelled the way this service spells ids."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def read_sorts(query: Sequence[tuple[str, str]]) -> tuple[Sort, ...]:
    """`sort=key:dir,…`, or `sort_key` and `sort_dir` as often as needed; ends with a unique key.  InvalidInput"""
    joined = [text for name, text in query if name == "sort"]
    keys = [text for name, text in query if name == "sort_key"]
    directions = [text for name, text in query if name == "sort_dir"]
    if joined and (keys or directions):
        raise InvalidInput("Old and new sorting syntax cannot be combined")
    sorts = _joined_sorts(",".join(joined)) if joined else _paired_sorts(keys, directions)
    descends = sorts[-1].descends if sorts else True
    named = [one.attribute for one in sorts]
    if "id" in named:  # no two have the same, so nothing after it counts
        return tuple(sorts[: named.index("id") + 1])
    return (*sorts, *(Sort(key, descends) for key in ("created_at", "id") if key not in named))


def _joined_sorts(text: str) -> list[Sort]:
    parts = [part.strip().partition(":") for part in text.split(",")]
    return _checked([(key, direction if colon else "desc") for key, colon, direction in parts])


def _paired_sorts(keys: list[str], directions: list[str]) -> list[Sort]:
    keys = keys or (["created_at"] if directions else [])
    if len(directions) > 1 and len(directions) != len(keys):
        raise InvalidInput("Number of sort dirs does not match the number of sort keys")
    every = directions * len(keys) if len(directions) == 1 else directions or ["desc"] * len(keys)
    return _checked(list(zip(keys, every, strict=True)))


def _checked(pairs: list[tuple[str, str]]) -> list[Sort]:
    for at, (key, direction) in enumerate(pairs):
        if key not in SORT_KEYS:
            raise InvalidInput(f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}.")
        if direction not in ("asc", "desc"):
            raise InvalidInput(f"Invalid sort direction: {direction}. It must be one of the following: asc, desc.")
        if key in (earlier for earlier, _ in pairs[:at]):
            raise InvalidInput(f"Sort key {key} stands twice")
    return [Sort(key, direction == "desc") for key, direction in pairs]
