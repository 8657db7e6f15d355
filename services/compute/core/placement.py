"""How much a host has and how much of that is free.  Words: Placement API reference, "resource provider inventories"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ResourceClass(StrEnum):
    VCPU = "VCPU"
    MEMORY_MB = "MEMORY_MB"  # MiB, whatever the name says
    DISK_GB = "DISK_GB"  # GiB


@dataclass(frozen=True, slots=True)
class Ratios:
    """How many times over a host's resources may be claimed."""

    cpu: float = 4.0
    memory: float = 1.0
    disk: float = 1.0

    def of(self, resource: ResourceClass) -> float:
        return {ResourceClass.VCPU: self.cpu, ResourceClass.MEMORY_MB: self.memory, ResourceClass.DISK_GB: self.disk}[
            resource
        ]


@dataclass(frozen=True, slots=True)
class Stock:
    """One resource of one host."""

    total: int
    reserved: int
    allocation_ratio: float
    used: int
    max_unit: int  # the most that one server may have

    @property
    def free(self) -> int:
        """What may still be claimed; negative after the ratio was lowered below what is."""
        return int((self.total - self.reserved) * self.allocation_ratio) - self.used

    @property
    def most_for_one(self) -> int:
        return max(min(self.free, self.max_unit), 0)

    def fits(self, wanted: int) -> bool:
        return wanted <= self.most_for_one


def nonzero(resources: Mapping[ResourceClass, int]) -> dict[ResourceClass, int]:
    """Placement knows no claim of nothing."""
    return {resource: amount for resource, amount in resources.items() if amount > 0}
