"""Servers that should share a host (affinity), or not (anti-affinity); the soft ones only if it can be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class GroupPolicy(StrEnum):
    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"

    @property
    def is_soft(self) -> bool:
        return self in (GroupPolicy.SOFT_AFFINITY, GroupPolicy.SOFT_ANTI_AFFINITY)

    @property
    def is_together(self) -> bool:
        return self in (GroupPolicy.AFFINITY, GroupPolicy.SOFT_AFFINITY)


@dataclass(frozen=True, slots=True)
class Company:
    """The group of one server, as it is placed by now: host -> how many of its other servers are there."""

    policy: GroupPolicy
    servers: Mapping[str, int] = field(default_factory=dict)
    most_per_host: int = 1

    @property
    def together(self) -> frozenset[str] | None:
        """Where the server has to go; None: anywhere, also for the first of a group."""
        return frozenset(self.servers) if self.policy.is_together and self.servers else None

    @property
    def full(self) -> frozenset[str]:
        """Where it must not go."""
        if self.policy.is_together:
            return frozenset()
        return frozenset(host for host, count in self.servers.items() if count >= self.most_per_host)

    def weight(self, host: str) -> int:
        """The higher, the better for a soft policy."""
        count = self.servers.get(host, 0)
        return count if self.policy.is_together else -count
