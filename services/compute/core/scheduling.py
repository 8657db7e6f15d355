"""What a server needs of a host, and what a host offers.  Which hosts pass is in `filters.py`, which is best in `weighers.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.compute.core.placement import ResourceClass, Stock, nonzero


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one server asks for.  `None` and empty mean that anything will do."""

    resources: Mapping[ResourceClass, int]
    zone: str | None = None
    host: str | None = None
    required_traits: frozenset[str] = frozenset()
    forbidden_traits: frozenset[str] = frozenset()
    failed_hosts: frozenset[str] = frozenset()  # tried for this boot already
    beside: frozenset[str] | None = None  # hosts of the servers in the hint "same_host"
    apart: frozenset[str] = frozenset()  # and in "different_host"
    with_group: frozenset[str] | None = None  # hosts where its server group is
    group_full: frozenset[str] = frozenset()  # hosts where its server group may not have more
    for_flavor: frozenset[str] | None = None  # hosts whose aggregates have what the flavor asks for
    for_others: frozenset[str] = frozenset()  # hosts whose aggregates are for other projects
    for_other_images: frozenset[str] = frozenset()  # and for other images

    @property
    def allowed(self) -> frozenset[str] | None:
        """Where it may go at most; None: anywhere."""
        given = [one for one in (self.beside, self.with_group, self.for_flavor) if one is not None]
        return frozenset.intersection(*given) if given else None

    @property
    def avoided(self) -> frozenset[str]:
        return self.failed_hosts | self.apart | self.group_full | self.for_others | self.for_other_images


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """One host as the filters see it."""

    name: str
    zone: str
    is_up: bool = True
    is_disabled: bool = False
    disabled_reason: str | None = None
    stock: Mapping[ResourceClass, Stock] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()

    def fits(self, resource: ResourceClass, wanted: int) -> bool:
        return wanted == 0 or (resource in self.stock and self.stock[resource].fits(wanted))

    def most(self, resource: ResourceClass) -> int:
        return self.stock[resource].most_for_one if resource in self.stock else 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that fits, as it was at this generation of its provider."""

    provider_id: UUID
    host: str
    zone: str
    generation: int
    free_memory_mib: float
    free_vcpus: float


def wish_of(
    *,
    flavor: Mapping[str, Any],
    image_properties: Mapping[str, Any],
    wanted_zone: str | None,
    failed_hosts: Collection[str],
    beside: Collection[str] | None = None,
    apart: Collection[str] = (),
) -> Wish:
    """From a server's flavor copy, its image's properties and the zone asked for ("zone", "zone:host", "zone:host:node")."""
    zone, host = _zone_and_host(wanted_zone)
    required, forbidden = _traits(dict(flavor.get("extra_specs") or {}), dict(image_properties))
    return Wish(
        resources=needs_of(flavor),
        zone=zone,
        host=host,
        required_traits=required,
        forbidden_traits=forbidden,
        failed_hosts=frozenset(failed_hosts),
        beside=None if beside is None else frozenset(beside),
        apart=frozenset(apart),
    )


def needs_of(flavor: Mapping[str, Any]) -> dict[ResourceClass, int]:
    """What a server of this flavor claims."""
    swap_gib = -(-int(flavor.get("swap_mib") or 0) // 1024)
    return nonzero(
        {
            ResourceClass.VCPU: int(flavor["vcpus"]),
            ResourceClass.MEMORY_MB: int(flavor["memory_mib"]),
            ResourceClass.DISK_GB: int(flavor["root_gib"]) + int(flavor.get("ephemeral_gib") or 0) + swap_gib,
        }
    )


def _zone_and_host(wanted: str | None) -> tuple[str | None, str | None]:
    zone, _, rest = (wanted or "").partition(":")
    host, _, node = rest.partition(":")
    return zone or None, host or node or None


def _traits(*sources: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Traits required and forbidden, as extra specs and image properties say: "trait:HW_CPU_X86_AVX2": "required"."""
    named = [
        (key.removeprefix("trait:"), value) for one in sources for key, value in one.items() if key.startswith("trait:")
    ]
    return (
        frozenset(name for name, value in named if value == "required"),
        frozenset(name for name, value in named if value == "forbidden"),
    )
