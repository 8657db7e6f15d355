"""Regular expressions from strangers, by RE2: the time it takes grows with the text, whatever the pattern says.

Python's own `re` tries one way after the other, and a short pattern keeps it busy for years (OWASP, "Regular expression Denial of
Service").  Case does not matter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

LONGEST = 255
MOST_MEMORY = 1 << 20  # bytes, of one pattern's machine


class Unreadable(ValueError):
    """The pattern is malformed, or asks for what RE2 does not do: back references, looking around, a giant machine."""


@lru_cache(maxsize=128)
def expression(pattern: str) -> Any:
    """Something to `search` with.  Raises Unreadable."""
    import re2  # few ever ask for one

    if len(pattern) > LONGEST or "\0" in pattern:
        raise Unreadable("too long, or with a NUL")
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.max_mem = False, False, MOST_MEMORY
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise Unreadable(str(error)) from error


def found(pattern: str, text: str | None) -> bool | None:
    """SQL's `text REGEXP pattern`."""
    return None if text is None else expression(pattern).search(text) is not None
