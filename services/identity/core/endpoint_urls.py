"""Addresses of endpoints that differ from project to project: `http://host/v1/%(project_id)s`, or with `$(project_id)s`."""

from __future__ import annotations

import re
from collections.abc import Mapping

KNOWN = frozenset({"project_id", "tenant_id", "user_id"})
SPOT = re.compile(r"[%$]\((\w*)\)(s?)")


def is_well_formed(url: str) -> bool:
    """Whether everything that has to be filled in is known, and nothing else looks like it."""
    found = SPOT.findall(url)
    return all(name in KNOWN and end for name, end in found) and not re.search(
        r"%(?!\(|[0-9A-Fa-f]{2})|[%$]\((?!\w*\))", url
    )


def filled_in(url: str, values: Mapping[str, str | None]) -> str | None:
    """None when it needs something that there is not, such as a project where the token is for none."""
    if any(values.get(match[1]) is None for match in SPOT.finditer(url)):
        return None
    return SPOT.sub(lambda match: values[match[1]] or "", url)
