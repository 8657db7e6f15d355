"""Which methods of a log-in a user must show together (options `multi_factor_auth_…` of the user)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

ENABLED, RULES = "multi_factor_auth_enabled", "multi_factor_auth_rules"


def unmet(options: Mapping[str, Any], shown: Collection[str], known: Collection[str]) -> list[list[str]]:
    """The rules, if none of them is met; empty: the log-in is complete.

    A rule that names a method which this cloud does not have can't be met, and counts for nothing, as does an empty one.  When
    none is left the user logs in as if there were none, as in Keystone: a typing error must not lock everybody out.
    """
    if options.get(ENABLED) is not True:
        return []
    rules = [list(rule) for rule in options.get(RULES) or () if rule and set(rule) <= set(known)]
    return [] if any(set(rule) <= set(shown) for rule in rules) else rules
