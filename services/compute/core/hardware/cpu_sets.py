"""Sets of processors as text: `0-3,^1,6`.  Format: Compute's configuration guide, "cpu_dedicated_set"."""

from __future__ import annotations

import re
from collections.abc import Collection

from common.errors import InvalidInput

HIGHEST = 65_535  # no machine has a processor of a higher number; a range beyond it would cost memory alone


def cpus_of(text: str) -> frozenset[int]:
    """InvalidInput for what is no such set."""
    found: set[int] = set()
    without: set[int] = set()
    for part in (one.strip() for one in text.split(",")):
        if part.startswith("^"):
            without |= _range(part, part[1:], "exclusion")
        elif part:
            found |= _range(part, part, "inclusion")
    return frozenset(found - without)


def _range(part: str, text: str, kind: str) -> set[int]:
    first, dash, last = text.partition("-")
    kind = "range" if dash else kind
    try:
        low, high = _number(first), _number(last if dash else first)
    except ValueError as error:
        raise InvalidInput(f"Invalid {kind} expression {part[:64]!r}") from error
    if low > high:
        raise InvalidInput(f"Invalid range expression {part[:64]!r}")
    return set(range(low, high + 1))


def _number(text: str) -> int:
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) is None or (number := int(text)) > HIGHEST:
        raise ValueError(text)
    return number


def text_of(cpus: Collection[int]) -> str:
    """The shortest text: `0-3,6`."""
    ranges: list[list[int]] = []
    for cpu in sorted(cpus):
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(f"{low}-{high}" if high > low else f"{low}" for low, high in ranges)
