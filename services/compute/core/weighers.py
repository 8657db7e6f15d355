"""Which of the hosts that fit is best: the one with most memory and processor left, as Nova's default weighers have it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from services.compute.core.scheduling import Candidate
from services.compute.core.server_groups import Company

JITTER = 0.05  # hosts that are about equal take turns, so that schedulers at work together seldom collide


GROUP = 10.0  # a group's wish counts more than all room


def best_first(candidates: Sequence[Candidate], company: Company | None = None) -> list[Candidate]:
    """Each kind of room counts between 0 (the least of these) and 1 (the most), and so does a server group's soft policy."""
    memory = _normal([one.free_memory_mib for one in candidates])
    vcpus = _normal([one.free_vcpus for one in candidates])
    weights = [a + b + random.random() * JITTER for a, b in zip(memory, vcpus, strict=True)]
    if company is not None and company.policy.is_soft:
        wishes = _normal([company.weight(one.host) for one in candidates])
        weights = [weight + GROUP * wish for weight, wish in zip(weights, wishes, strict=True)]
    order = sorted(range(len(candidates)), key=weights.__getitem__, reverse=True)
    return [candidates[at] for at in order]


def _normal(values: Sequence[float]) -> list[float]:
    low, high = min(values, default=0), max(values, default=0)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]
