"""Kinds of text in bodies, and what clients may add to a resource."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field, StringConstraints

LONGEST_ADDITION_BYTES = 65_536


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("A text must not hold a NUL")
    return text


def _storable(value: Any) -> Any:
    """JSON that either database takes."""
    try:
        written = orjson.dumps(value)
    except TypeError as error:
        raise ValueError("The value cannot be stored") from error
    if b"\\u0000" in written or len(written) > LONGEST_ADDITION_BYTES:
        raise ValueError("The value cannot be stored")
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=255, pattern=r"\S")]
UserName = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"\S")]
GroupName = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"\S")]
ProjectName = Annotated[Text, StringConstraints(min_length=1, max_length=64, pattern=r"\S")]
Id = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
Additions = dict[Text, Annotated[Any, AfterValidator(_storable)]]
Nothing = Annotated[dict[str, Any], Field(max_length=0)]
"""Resource options: none are known yet."""
