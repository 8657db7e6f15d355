"""The names that placement knows by itself: those of os-traits and os-resource-classes.  Others begin with CUSTOM_."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST_NAME = 255
CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]+")
NAME = re.compile(r"[A-Z0-9_]+")

SHARES = "MISC_SHARES_VIA_AGGREGATE"
"""A provider with this trait lends what it has to all trees that are in one of its aggregates."""


@lru_cache(maxsize=1)
def standard_traits() -> frozenset[str]:
    import os_traits  # type: ignore[import-untyped]  # only processes that are asked for names need it

    return frozenset(os_traits.get_traits())


@lru_cache(maxsize=1)
def standard_classes() -> tuple[str, ...]:
    import os_resource_classes  # type: ignore[import-untyped]

    return tuple(os_resource_classes.STANDARDS)


def is_custom(name: str) -> bool:
    return len(name) <= LONGEST_NAME and CUSTOM.fullmatch(name) is not None
