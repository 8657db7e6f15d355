"""Name filters: Nova takes them as regular expressions; here they are a bounded part of that language.

`^` and `$` at the ends, `.` for any character, `.*` for any text, `\\` before a character that means itself.  Everything else
stands for itself, so no filter can make the database think for long.
"""

from __future__ import annotations

from common.errors import InvalidInput

LONGEST = 255
MOST_GAPS = 5
ESCAPE = "\\"


def like(pattern: str, field: str) -> str:
    """The pattern for SQL's LIKE with ESCAPE.  InvalidInput if it is too long, or has too many gaps."""
    if len(pattern) > LONGEST or "\0" in pattern:
        raise InvalidInput(f"Invalid input for query parameters {field}. The pattern is too long")
    starts, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    body = pattern[1 if starts else 0 : -1 if ends else None]
    words = list(_words(body))
    if words.count("%") > MOST_GAPS:
        raise InvalidInput(f"Invalid input for query parameters {field}. The pattern has too many gaps")
    return ("" if starts else "%") + "".join(words) + ("" if ends else "%")


def _words(body: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(body):
        char, after = body[at], body[at + 1 : at + 2]
        if char == "\\" and after:
            found.append(_literal(after))
        elif char == "." and after == "*":
            found.append("%")
        elif char == ".":
            found.append("_")
        else:
            found.append(_literal(char))
        at += 2 if (char == "\\" and after) or (char == "." and after == "*") else 1
    return found


def _literal(char: str) -> str:
    return ESCAPE + char if char in ("%", "_", ESCAPE) else char
