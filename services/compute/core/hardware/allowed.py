"""What an operator lets images ask for, where that is less than what hosts can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from common.errors import InvalidInput


def must_be_allowed(properties: Mapping[str, Any], allowed: Mapping[str, Sequence[str]]) -> None:
    """InvalidInput for a property with a value that is none of the allowed ones; a property that is not listed is free."""
    for name, patterns in allowed.items():
        value = properties.get(name)
        if value is not None and not any(fnmatchcase(str(value), pattern) for pattern in patterns):
            raise InvalidInput(
                f"Invalid image metadata. Error: {name} '{str(value)[:64]}' is not allowed in this cloud; "
                f"it can be {', '.join(patterns) or 'nothing at all'}."
            )
