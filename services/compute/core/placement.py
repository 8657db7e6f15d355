"""How much a host has and how much of that is free.  Words: Placement API reference, "resource provider inventories"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

N = TypeVar("N", bound=str)


class ResourceClass(StrEnum):
    """What hosts have by themselves; others are given to them by operators."""

    VCPU = "VCPU"
    PCPU = "PCPU"  # processors for one guest alone, where a host has some
    MEMORY_MB = "MEMORY_MB"  # MiB, whatever the name says
    DISK_GB = "DISK_GB"  # GiB


@dataclass(frozen=True, slots=True)
class Ratios:
    """How many times over a host's resources may be claimed."""

    cpu: float = 4.0
    memory: float = 1.0
    disk: float = 1.0

    def of(self, resource: ResourceClass) -> float:
        return {
            ResourceClass.VCPU: self.cpu,
            ResourceClass.PCPU: 1.0,
            ResourceClass.MEMORY_MB: self.memory,
            ResourceClass.DISK_GB: self.disk,
        }[resource]


@dataclass(frozen=True, slots=True)
class Stock:
    """One resource of one host."""

    total: int
    reserved: int
    allocation_ratio: float
    used: int
    max_unit: int  # the most that one server may have
    min_unit: int = 1
    step_size: int = 1

    @property
    def capacity(self) -> int:
        """What may be claimed in all."""
        return int((self.total - self.reserved) * self.allocation_ratio)

    @property
    def free(self) -> int:
        """What may still be claimed; negative after the ratio was lowered below what is."""
        return self.capacity - self.used

    @property
    def most_for_one(self) -> int:
        return max(min(self.free, self.max_unit), 0)

    def allows(self, wanted: int) -> bool:
        """Whether anybody may have that much at once, free or not."""
        return self.min_unit <= wanted <= self.max_unit and wanted % self.step_size == 0

    def fits(self, wanted: int) -> bool:
        return self.allows(wanted) and wanted <= self.free


def nonzero(resources: Mapping[N, int]) -> dict[N, int]:
    """Placement knows no claim of nothing."""
    return {resource: amount for resource, amount in resources.items() if amount > 0}
