"""What a server claims: its flavor's sizes, what `resources:CLASS` says in place of them, and numbered groups.

`resources_GPU:VGPU` and `trait_GPU:CUSTOM_FAST` ask for both from one provider.  Rules: Compute's guide, "Flavors, extra specs".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.compute.core.allocation_candidates import Group
from services.compute.core.hardware.policies import CpuPolicy
from services.compute.core.hardware.processors import Processors, processors_of
from services.compute.core.hardware.settings import Asked
from services.compute.core.placement import ResourceClass, nonzero

FORM = re.compile(r"(resources|trait)([a-zA-Z0-9_-]{1,64})?:([A-Z0-9_]+)")
PROCESSORS = {ResourceClass.VCPU.value, ResourceClass.PCPU.value}


@dataclass(frozen=True, slots=True)
class Demand:
    """`resources` may be spread over the host and what belongs to it; each group comes from one provider."""

    resources: Mapping[str, int]
    required_traits: frozenset[str] = frozenset()
    forbidden_traits: frozenset[str] = frozenset()
    groups: Mapping[str, Group] = field(default_factory=dict)  # suffix -> what is asked for together
    is_isolated: bool = False  # no two groups from the same provider
    processors: Processors = field(default_factory=Processors)


def demand_of(flavor: Mapping[str, Any], properties: Mapping[str, Any]) -> Demand:
    """InvalidInput for what no host could have."""
    specs = dict(flavor.get("extra_specs") or {})
    vcpus, memory_mib = int(flavor["vcpus"]), int(flavor["memory_mib"])
    processors = processors_of(Asked(properties, specs), vcpus=vcpus, memory_mib=memory_mib)
    said, groups, required, forbidden = _said(specs)
    required |= {key[6:] for key, value in properties.items() if key.startswith("trait:") and value == "required"}
    forbidden |= {key[6:] for key, value in properties.items() if key.startswith("trait:") and value == "forbidden"}
    needs, never = processors.traits()
    in_groups = {name for group in groups.values() for name in group.resources}
    sizes = _sizes(flavor, processors)
    if in_groups & PROCESSORS:
        in_groups |= PROCESSORS
    return Demand(
        resources=nonzero({name: amount for name, amount in sizes.items() if name not in in_groups} | said),
        required_traits=frozenset(required | needs),
        forbidden_traits=frozenset(forbidden | never),
        groups=groups,
        is_isolated=specs.get("group_policy") == "isolate",
        processors=processors,
    )


def needs_of(flavor: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, int]:
    """What it claims besides groups."""
    return dict(demand_of(flavor, properties).resources)


def _sizes(flavor: Mapping[str, Any], processors: Processors) -> dict[str, int]:
    swap_gib = -(-int(flavor.get("swap_mib") or 0) // 1024)
    shared = int(flavor["vcpus"]) if processors.policy is CpuPolicy.SHARED else processors.shared or 0
    return {
        ResourceClass.VCPU.value: shared,
        ResourceClass.PCPU.value: processors.dedicated,
        ResourceClass.MEMORY_MB.value: int(flavor["memory_mib"]),
        ResourceClass.DISK_GB.value: int(flavor["root_gib"]) + int(flavor.get("ephemeral_gib") or 0) + swap_gib,
    }


def _said(specs: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, Group], set[str], set[str]]:
    """Resources and groups, and traits required and forbidden, in the words of extra specs."""
    resources: dict[str, dict[str, int]] = {"": {}}
    traits: dict[str, dict[str, set[str]]] = {}
    for key, value in specs.items():
        if (match := FORM.fullmatch(key)) is None:
            continue
        kind, suffix, name = match[1], match[2] or "", match[3]
        if kind == "resources" and str(value).isdecimal():
            resources.setdefault(suffix, {})[name] = int(value)
        elif kind == "trait" and value in ("required", "forbidden"):
            traits.setdefault(suffix, {}).setdefault(value, set()).add(name)
    groups = {
        suffix: Group(
            resources=nonzero(resources.get(suffix, {})),
            required=tuple(frozenset({one}) for one in sorted(traits.get(suffix, {}).get("required", ()))),
            forbidden=frozenset(traits.get(suffix, {}).get("forbidden", ())),
        )
        for suffix in sorted({*resources, *traits} - {""})
    }
    plain = traits.get("", {})
    asked = {suffix: group for suffix, group in groups.items() if group.resources or group.required or group.forbidden}
    return resources[""], asked, plain.get("required", set()), plain.get("forbidden", set())
