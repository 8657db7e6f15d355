"""Which hosts aggregates' metadata keeps for certain flavors, projects and images.

A value may be a list ("a, b"), and a host has what all its aggregates have.  Words: Compute's admin guide, "Scheduling".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ZONE = "availability_zone"
SCOPE = "aggregate_instance_extra_specs:"
TENANTS = "filter_tenant_id"


@dataclass(frozen=True, slots=True)
class HostGroup:
    """An aggregate, as far as scheduling goes."""

    hosts: frozenset[str]
    attributes: Mapping[str, str]


def for_flavor(groups: Collection[HostGroup], specs: Mapping[str, Any]) -> frozenset[str] | None:
    """Hosts whose aggregates have what the flavor asks of them; None: it asks nothing."""
    asked = {key.removeprefix(SCOPE): str(value) for key, value in specs.items() if key.startswith(SCOPE)}
    if not asked:
        return None
    found = [
        frozenset().union(*(one.hosts for one in groups if _has(one, key, wanted))) for key, wanted in asked.items()
    ]
    return frozenset.intersection(*found)


def kept_from_project(groups: Collection[HostGroup], project_id: str) -> frozenset[str]:
    """Hosts of which some aggregate names projects, and none names this one."""
    named: dict[str, set[str]] = {}
    for one in groups:
        for key, value in one.attributes.items():
            if key.startswith(TENANTS):
                for host in one.hosts:
                    named.setdefault(host, set()).update(_values(value))
    return frozenset(host for host, projects in named.items() if project_id not in projects)


def kept_from_image(groups: Collection[HostGroup], properties: Mapping[str, Any]) -> frozenset[str]:
    """Hosts whose aggregates name a property that the image has with another value."""
    named: dict[tuple[str, str], set[str]] = {}
    for one in groups:
        for key in set(one.attributes) & set(properties):
            for host in one.hosts:
                named.setdefault((host, key), set()).update(_values(one.attributes[key]))
    return frozenset(host for (host, key), values in named.items() if str(properties[key]) not in values)


def _has(group: HostGroup, key: str, wanted: str) -> bool:
    return any(matches(value, wanted) for value in _values(group.attributes.get(key, "")))


def _values(written: str) -> list[str]:
    return [value for part in written.split(",") if (value := part.strip())]


# ---------------------------------------------------------------- what extra specs may ask of a value

_NUMBERS = {
    "=": lambda has, wants: has >= wants,
    "==": lambda has, wants: has == wants,
    "!=": lambda has, wants: has != wants,
    ">=": lambda has, wants: has >= wants,
    "<=": lambda has, wants: has <= wants,
}
_TEXTS = {
    "s==": lambda has, wants: has == wants,
    "s!=": lambda has, wants: has != wants,
    "s<": lambda has, wants: has < wants,
    "s<=": lambda has, wants: has <= wants,
    "s>": lambda has, wants: has > wants,
    "s>=": lambda has, wants: has >= wants,
}


def matches(value: str, wanted: str) -> bool:
    """`wanted` is a value, or an operator and what it compares with: "s== x", ">= 4", "<in> x", "<or> a <or> b"."""
    words = wanted.split()
    operator, operands = (words[0], words[1:]) if words else ("", [])
    if operator in _NUMBERS and operands:
        return _compared(operator, value, operands[0])
    if operator in _TEXTS and operands:
        return bool(_TEXTS[operator](value, operands[0]))
    if operator == "<in>" and operands:
        return operands[0] in value
    if operator == "<all-in>":
        return all(word in value for word in operands if word != "<all-in>")
    if operator == "<or>":
        return value in _alternatives(operands)
    return value == wanted


def _compared(operator: str, value: str, wanted: str) -> bool:
    try:
        return bool(_NUMBERS[operator](float(value), float(wanted)))
    except ValueError:
        return False


def _alternatives(words: Sequence[str]) -> list[str]:
    return [word for word in words if word != "<or>"]
