"""Which requests an application credential's token may make: method, service and a pattern of the path.

In a pattern `*` and `{name}` stand for one segment of the path, `**` for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_PARTS = re.compile(r"\{[^}]*\}|\*\*|\*|[^{*]+|\{")


class AccessRule(NamedTuple):
    """One kind of request that is allowed."""

    service: str  # its type in the catalog
    method: str
    path: str

    def allows(self, service: str, method: str, paths: Iterable[str]) -> bool:
        """`paths`: all that this request's path is known by."""
        if (self.service, self.method) != (service, method):
            return False
        return any(_pattern(self.path).fullmatch(path) for path in paths)


@lru_cache(maxsize=1024)
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("".join(_meaning(part) for part in _PARTS.findall(path)), re.DOTALL)


def _meaning(part: str) -> str:
    if part == "**":
        return ".*"
    return "[^/]+" if part == "*" or (part.startswith("{") and part.endswith("}")) else re.escape(part)
