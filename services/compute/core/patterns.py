"""Name filters are regular expressions: what they become for the database."""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.errors import InvalidInput
from common.regular import Unreadable, expression

ESCAPE = "\\"
_PLAIN = re.compile(r"(\^)?((?:\.\*|\\[^A-Za-z0-9]|[^\\^$*+?{}()\[\]|])*?)(\$)?")
_WORDS = re.compile(r"\.\*|\\.|.", re.DOTALL)
MOST_GAPS = 5


@dataclass(frozen=True, slots=True)
class Pattern:
    """For SQL's LIKE with ESCAPE, which is fast, or for REGEXP."""

    text: str
    is_regular: bool


def pattern_of(given: str, field: str) -> Pattern:
    """InvalidInput for what is no regular expression."""
    try:
        expression(given)
    except Unreadable as error:
        shown = given[:64]
        raise InvalidInput(
            f"Invalid input for query parameters {field}. Value: {shown}. {shown!r} is not a 'regex'"
        ) from error
    simple = _PLAIN.fullmatch(given)
    if simple is None or simple[2].count(".*") > MOST_GAPS:
        return Pattern(given, is_regular=True)
    starts, body, ends = simple.groups()
    words = "".join(_like(word) for word in _WORDS.findall(body))
    return Pattern(("" if starts else "%") + words + ("" if ends else "%"), is_regular=False)


def _like(word: str) -> str:
    if word in (".*", "."):
        return "%" if word == ".*" else "_"
    char = word[-1]
    return ESCAPE + char if char in ("%", "_", ESCAPE) else char
