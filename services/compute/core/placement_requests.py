"""What query parameters of placement ask for: `resources=VCPU:1`, `required=in:A,B`, `member_of=!in:…`, `same_subtree=…`.

Each is read as the microversion has it; what it does not know is InvalidInput.  Words: Placement API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from common.errors import InvalidInput
from services.compute.core.allocation_candidates import Group, Question
from services.compute.core.placement_faults import BadValue, MissingValue, TwiceGiven

INVALID = "Invalid query string parameters: "
LARGEST = 2**31 - 1
OLD_SUFFIX, NEW_SUFFIX = r"[1-9][0-9]*", r"[a-zA-Z0-9_-]{1,64}"
# fmt: off
SINCE = {  # of allocation candidates: parameter -> minor version that brought it
    "resources": 10, "limit": 16, "required": 17, "member_of": 21, "group_policy": 25, "in_tree": 31, "root_required": 35,
    "same_subtree": 36,
}
# fmt: on
GROUPED = ("resources", "required", "member_of", "in_tree")
Pairs = Sequence[tuple[str, str]]


def question_of(pairs: Pairs, version: int) -> Question:
    """What `GET /allocation_candidates` asks.  InvalidInput"""
    _must_be_known(pairs, version)
    subtrees = tuple(_suffixes(value) for value in _all(pairs, "same_subtree"))
    groups = _groups(pairs, version)
    _must_hold(groups, subtrees, version)
    policy = next(iter(_all(pairs, "group_policy")), None)
    if policy is None and len([suffix for suffix in groups if suffix]) > 1:
        raise InvalidInput(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    required, forbidden = _root_traits(_all(pairs, "root_required"))
    limit = next(iter(_all(pairs, "limit")), None)
    return Question(
        groups=groups,
        is_isolated=policy == "isolate",
        root_required=required,
        root_forbidden=forbidden,
        same_subtrees=subtrees,
        limit=None if limit is None else min(int(limit), LARGEST),
    )


def resources_of(text: str) -> dict[str, int]:
    """`VCPU:2,MEMORY_MB:1024`."""
    form = (
        "Badly formed resources parameter. Expected resources query string parameter in form: "
        "?resources=VCPU:2,MEMORY_MB:1024. Got: "
    )
    if not text.strip():
        raise InvalidInput(f"{form}empty string.")
    found: dict[str, int] = {}
    for part in text.split(","):
        name, colon, amount = part.partition(":")
        if not colon or ":" in amount:
            raise InvalidInput(f"{form}{part[:255]}.")
        if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", amount) is None:
            raise InvalidInput(f"Requested resource {name[:255]} expected positive integer amount. Got: {amount[:64]}.")
        if not 1 <= int(amount) <= LARGEST:
            raise InvalidInput(f"Requested resource {name[:255]} requires amount >= 1. Got: {int(amount)}.")
        found[name] = int(amount)
    return found


def traits_of(values: Sequence[str], version: int) -> tuple[tuple[frozenset[str], ...], frozenset[str]]:
    """Sets of which one trait each is required, and traits that are forbidden."""
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values if version >= 39 else values[-1:]:
        if value.startswith("in:"):
            required.append(_any_traits(value, version))
            continue
        names = [name.strip() for name in value.split(",")]
        form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if version >= 22 else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
        if not all(name.lstrip("!") for name in names):
            raise InvalidInput(
                f"{INVALID}Expected 'required' parameter value of the form: {form}. Got an empty trait in: {value[:255]}"
            )
        unwanted = {name.lstrip("!") for name in names if name.startswith("!")}
        if unwanted and version < 22:
            raise InvalidInput(f"{INVALID}Expected 'required' parameter value of the form: {form}. Got: {value[:255]}")
        forbidden |= unwanted
        required += [frozenset({name}) for name in names if not name.startswith("!")]
    return tuple(required), frozenset(forbidden)


def aggregates_of(
    values: Sequence[str], version: int, suffix: str = ""
) -> tuple[tuple[frozenset[UUID], ...], frozenset[UUID]]:
    """Sets of aggregates of which one each is required, and aggregates that are forbidden."""
    if version < 24 and len(values) > 1:
        raise InvalidInput(f"Multiple member_of{suffix} parameters are not supported")
    required: list[frozenset[UUID]] = []
    forbidden: frozenset[UUID] = frozenset()
    for value in values:
        if value.startswith("!"):
            if version < 32:
                raise InvalidInput(
                    f"Forbidden member_of{suffix} parameters are not supported in the specified microversion"
                )
            forbidden |= _aggregates(value[1:], value)
        else:
            required.append(_aggregates(value, value))
    return tuple(required), forbidden


def uuid_of(text: str, parameter: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"{INVALID}Expected '{parameter}' parameter to be a format of uuid. Got: {text[:255]}"
        ) from error


# ---------------------------------------------------------------- groups


def _groups(pairs: Pairs, version: int) -> dict[str, Group]:
    found: dict[str, dict[str, list[str]]] = {}
    for name, value in pairs:
        if (parts := _parted(name, version)) is not None:
            found.setdefault(parts[1], {}).setdefault(parts[0], []).append(value)
    return {suffix: _group(suffix, given, version) for suffix, given in found.items()}


def _group(suffix: str, given: Mapping[str, Sequence[str]], version: int) -> Group:
    required, forbidden = traits_of(given.get("required", ()), version)
    member_of, not_member_of = aggregates_of(given.get("member_of", ()), version, suffix)
    return Group(
        resources=resources_of(given["resources"][-1]) if "resources" in given else {},
        required=required,
        forbidden=forbidden,
        member_of=member_of,
        not_member_of=not_member_of,
        in_tree=uuid_of(given["in_tree"][-1], "in_tree") if "in_tree" in given else None,
    )


def _must_be_known(pairs: Pairs, version: int) -> None:
    for name, value in pairs:
        plain = (_parted(name, version) or (name, ""))[0]
        if SINCE.get(plain, version + 1) > version:
            raise InvalidInput(f"{INVALID}Additional properties are not allowed ({name[:64]!r} was unexpected)")
        if plain == "limit" and re.fullmatch("[1-9][0-9]{0,17}", value) is None:
            raise InvalidInput(f"{INVALID}{value[:64]!r} does not match '^[1-9][0-9]*$'")
        if plain == "group_policy" and value not in ("none", "isolate"):
            raise InvalidInput(f"{INVALID}{value[:64]!r} is not one of ['none', 'isolate']")
    if version < 25 and not _all(pairs, "resources"):
        raise InvalidInput(f"{INVALID}'resources' is a required property")


def _must_hold(groups: Mapping[str, Group], subtrees: Sequence[frozenset[str]], version: int) -> None:
    """Every group asks for resources, or stands in a subtree with one that does; and nothing contradicts itself."""
    idle = [suffix for suffix, group in groups.items() if not group.resources]
    if version >= 36:
        _must_be_in_subtrees(groups, idle, frozenset[str]().union(*subtrees))
    else:
        _must_not_be_orphans(groups, idle)
    clashes = [
        f"required{suffix}: ({', '.join(sorted(any_of))})"
        for suffix, group in groups.items()
        for any_of in group.required
        if any_of <= group.forbidden
    ]
    if clashes:
        raise InvalidInput(
            f"Conflicting required and forbidden traits found in the following traits keys: {', '.join(sorted(clashes))}"
        )


def _must_be_in_subtrees(groups: Mapping[str, Group], idle: Sequence[str], named: frozenset[str]) -> None:
    if len(idle) == len(groups):
        raise MissingValue("There must be at least one resources or resources[$S] parameter.")
    if bad := [suffix for suffix in idle if suffix not in named]:
        raise BadValue(
            "Resourceless suffixed group request should be specified in `same_subtree` query param: "
            f"bad group(s) - {bad}."
        )
    if bad := sorted(named - set(groups)):
        raise BadValue(f"Real suffixes should be specified in `same_subtree`: {bad} not found in {list(groups)}.")


def _must_not_be_orphans(groups: Mapping[str, Group], idle: Sequence[str]) -> None:
    if lone := [f"required{suffix}" for suffix in idle if groups[suffix].required]:
        raise InvalidInput(
            "All traits parameters must be associated with resources.  "
            f"Found the following orphaned traits keys: {', '.join(lone)}"
        )
    if lone := [f"member_of{suffix}" for suffix in idle if groups[suffix].member_of or groups[suffix].not_member_of]:
        raise InvalidInput(
            "All member_of parameters must be associated with resources. "
            f"Found the following orphaned member_of keys: {', '.join(lone)}"
        )
    if idle:
        raise InvalidInput("All request groups must specify resources.")
    if not groups:
        raise InvalidInput("At least one request group (`resources` or `resources{$S}`) is required.")


# ---------------------------------------------------------------- parts


def _parted(name: str, version: int) -> tuple[str, str] | None:
    """`resources1` is ("resources", "1"); None for what belongs to no group."""
    suffix = NEW_SUFFIX if version >= 33 else OLD_SUFFIX
    match = re.fullmatch(f"({'|'.join(GROUPED)})({suffix})?", name) if version >= 25 else None
    if match is None:
        return (name, "") if name in GROUPED else None
    return match[1], match[2] or ""


def _suffixes(value: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in value.split(","))
    if "" in found:
        raise BadValue("Empty string (unsuffixed group) can not be specified in `same_subtree` ")
    return found


def _root_traits(values: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    if len(values) > 1:
        raise TwiceGiven("Query parameter 'root_required' may be specified only once.")
    required, forbidden = traits_of([value for value in values if value], 38)
    if values and not values[0]:
        raise InvalidInput(
            f"{INVALID}Expected 'required' parameter value of the form: HW_CPU_X86_VMX,!CUSTOM_MAGIC. "
            "Got an empty trait in: "
        )
    names = frozenset[str]().union(*required)
    if clash := names & forbidden:
        raise BadValue(f"Conflicting required and forbidden traits found in root_required: {', '.join(sorted(clash))}")
    return names, forbidden


def _any_traits(value: str, version: int) -> frozenset[str]:
    form = "in:HW_CPU_X86_VMX,CUSTOM_MAGIC"
    if version < 39:
        raise InvalidInput(f"{INVALID}The format '{form}' only supported since microversion 1.39. Got: {value[:255]}")
    names = frozenset(name.strip() for name in value[3:].split(","))
    if not all(names):
        raise InvalidInput(
            f"{INVALID}Expected 'required' parameter value of the form: {form}. Got an empty trait in: {value[:255]}"
        )
    if any(name.startswith("!") for name in names):
        raise InvalidInput(f"{INVALID}The format '{form}' does not support forbidden traits. Got: {value[:255]}")
    return names


def _aggregates(text: str, whole: str) -> frozenset[UUID]:
    if "," in text and not text.startswith("in:"):
        raise InvalidInput(
            "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid "
            f"microversion. Got: {whole[:255]}"
        )
    found = set()
    for one in text.removeprefix("in:").split(","):
        try:
            found.add(UUID(one))
        except ValueError as error:
            raise InvalidInput(
                f"{INVALID}Expected 'member_of' parameter to contain valid UUID(s). Got: {one[:255]}"
            ) from error
    return frozenset(found)


def _all(pairs: Iterable[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in pairs if key == name]
