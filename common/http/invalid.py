"""Bad bodies, told in the sentences that OpenStack's APIs use.

Invalid input for field/attribute flavorRef. Value: None. None is not of type 'string'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from common.errors import InvalidInput

M = TypeVar("M", bound=BaseModel)

LONGEST_SHOWN = 256
DEEPEST_SHOWN = 8
SECRETS = frozenset({"password", "original_password", "adminPass", "secret", "passcode", "blob"})
HIDDEN = "***"

# fmt: off
_TYPES = {
    "string_type": "string", "string_sub_type": "string", "bool_type": "boolean", "bool_parsing": "boolean",
    "int_type": "integer", "int_parsing": "integer", "int_from_float": "integer",
    "float_type": "number", "float_parsing": "number", "list_type": "array", "tuple_type": "array", "set_type": "array",
    "dict_type": "object", "model_type": "object", "model_attributes_type": "object", "none_required": "null",
}
_REASONS = {
    "string_too_long":        "{shown} is too long",
    "string_too_short":       "{shown} is too short",
    "too_long":               "{shown} is too long",
    "too_short":              "{shown} is too short",
    "string_pattern_mismatch": "{shown} does not match {pattern!r}",
    "greater_than_equal":     "{shown} is less than the minimum of {ge}",
    "greater_than":           "{shown} is less than or equal to the minimum of {gt}",
    "less_than_equal":        "{shown} is greater than the maximum of {le}",
    "less_than":              "{shown} is greater than or equal to the maximum of {lt}",
    "literal_error":          "{shown} is not one of [{expected}]",
    "enum":                   "{shown} is not one of [{expected}]",
    "uuid_parsing":           "{shown} is not a 'uuid'",
    "uuid_type":              "{shown} is not a 'uuid'",
}
# fmt: on


def parsed(model: type[M], body: Any) -> M:
    """`body` as a `model`.  InvalidInput with the sentence that a client of OpenStack knows."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidInput(sentence(error)) from error


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors(include_url=False)[0]
    where, value = [str(part) for part in first["loc"]], first.get("input")
    if SECRETS.intersection(where[-1:]) and first["type"] != "missing" and value is not None:
        value = HIDDEN
    if first["type"] == "missing":
        return _say(where[:-1], value, f"'{where[-1]}' is a required property")
    if first["type"] == "extra_forbidden":
        return _say(where[:-1], None, f"Additional properties are not allowed ('{where[-1]}' was unexpected)")
    return _say(where, value, _reason(str(first["type"]), value, first.get("ctx") or {}, str(first["msg"])))


def _say(where: list[str], value: Any, reason: str) -> str:
    field = next(
        (part for part in reversed(where) if not part.isdigit() and "[" not in part), None
    )  # "list[...]" is pydantic's
    if field is None:
        return reason
    told = f" Value: {shown(value)}." if value is not None or "None" in reason else ""
    return f"Invalid input for field/attribute {field}.{told} {reason}"


def _reason(kind: str, value: Any, facts: Mapping[str, Any], message: str) -> str:
    if (expected := _TYPES.get(kind)) is not None:
        return f"{shown(value, quote=True)} is not of type '{expected}'"
    if (template := _REASONS.get(kind)) is not None:
        told = {name: str(fact).replace(" or ", ", ") if name == "expected" else fact for name, fact in facts.items()}
        return template.format_map({"shown": shown(value, quote=True), **told})
    return message.removeprefix("Value error, ")


def shown(value: Any, *, quote: bool = False) -> str:
    """A value for a message: cut, without secrets, and never more than a line."""
    value = _without_secrets(value)
    text = repr(value) if quote or not isinstance(value, str) else value
    text = text.replace("\n", "\\n").replace("\r", "\\r")
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def _without_secrets(value: Any, depth: int = 0) -> Any:
    if not isinstance(value, dict | list):
        return value
    if depth == DEEPEST_SHOWN:
        return "…"
    if isinstance(value, list):
        return [_without_secrets(one, depth + 1) for one in value]
    return {
        key: HIDDEN if key in SECRETS and isinstance(one, str) else _without_secrets(one, depth + 1)
        for key, one in value.items()
    }


def strict_json(data: bytes) -> Any:
    """JSON as RFC 8259 has it; a key twice, NaN, half a character, too large a number, endless nesting: InvalidInput."""
    try:
        found = json.loads(data, object_pairs_hook=_no_twins, parse_constant=_no_constant, parse_float=_finite)
        if b"\\u" in data:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text, and nothing can store it
        return found
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            "The server could not comply with the request since it is either malformed or otherwise incorrect."
        ) from error


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number
