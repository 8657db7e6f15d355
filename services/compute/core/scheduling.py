"""What a server needs of a host, and what a host offers.  Which hosts pass is in `filters.py`, which is best in `weighers.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.compute.core.allocation_candidates import Amounts, Group
from services.compute.core.demands import Demand, demand_of
from services.compute.core.hardware import device_traits
from services.compute.core.hardware.processors import Processors
from services.compute.core.placement import Stock


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one server asks for.  `None` and empty mean that anything will do."""

    resources: Mapping[str, int]
    groups: Mapping[str, Group] = field(default_factory=dict)  # what is asked for together, from one provider each
    is_isolated: bool = False  # and no two of them from the same
    processors: Processors = field(default_factory=Processors)
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
    for_properties: frozenset[str] | None = None  # hosts of the architecture and kind that the image asks for
    for_groups: frozenset[str] | None = None  # hosts whose providers have what the groups ask for; for explanations
    without_cells: Mapping[str, str] = field(default_factory=dict)  # hosts that could not hold its NUMA cells -> why

    @property
    def allowed(self) -> frozenset[str] | None:
        """Where it may go at most; None: anywhere."""
        sets = (self.beside, self.with_group, self.for_flavor, self.for_properties, self.for_groups)
        given = [one for one in sets if one is not None]
        return frozenset.intersection(*given) if given else None

    @property
    def avoided(self) -> frozenset[str]:
        return (
            self.failed_hosts
            | self.apart
            | self.group_full
            | self.for_others
            | self.for_other_images
            | self.without_cells.keys()
        )

    @property
    def demand(self) -> Demand:
        return Demand(self.resources, self.required_traits, self.forbidden_traits, self.groups, self.is_isolated)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """One host as the filters see it."""

    name: str
    zone: str
    is_up: bool = True
    is_disabled: bool = False
    disabled_reason: str | None = None
    stock: Mapping[str, Stock] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()

    def fits(self, resource: str, wanted: int) -> bool:
        return wanted == 0 or (resource in self.stock and self.stock[resource].fits(wanted))

    def most(self, resource: str) -> int:
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
    free_disk_gib: float = 0
    amounts: Amounts | None = None  # what to take of which provider; None: all of the host's own
    generations: Mapping[UUID, int] = field(default_factory=dict)  # of the other providers


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
    demand = demand_of(flavor, image_properties)
    devices = device_traits(image_properties, flavor.get("extra_specs") or {})
    return Wish(
        resources=demand.resources,
        groups=demand.groups,
        is_isolated=demand.is_isolated,
        processors=demand.processors,
        zone=zone,
        host=host,
        required_traits=demand.required_traits | devices,
        forbidden_traits=demand.forbidden_traits,
        failed_hosts=frozenset(failed_hosts),
        beside=None if beside is None else frozenset(beside),
        apart=frozenset(apart),
    )


def _zone_and_host(wanted: str | None) -> tuple[str | None, str | None]:
    zone, _, rest = (wanted or "").partition(":")
    host, _, node = rest.partition(":")
    return zone or None, host or node or None
