"""Which of the hosts that fit is best: the one with most left and least to do, as Nova's default weighers have it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.compute.core.scheduling import Candidate
from services.compute.core.server_groups import Company

JITTER = 0.05  # hosts that are about equal take turns, so that schedulers at work together seldom collide


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each thing counts against the others; below 0: less of it is better."""

    memory: float = 1.0
    vcpus: float = 1.0
    disk: float = 1.0
    io: float = -1.0  # servers that are being made, moved or copied there
    group: float = 10.0  # a group's soft policy counts more than all room


DEFAULT = Weights()


def best_first(
    candidates: Sequence[Candidate],
    company: Company | None = None,
    *,
    weights: Weights = DEFAULT,
    busy: Mapping[str, int] | None = None,
) -> list[Candidate]:
    """Each thing counts between 0 (the least of these hosts) and 1 (the most), times its weight.  `busy`: host -> servers."""
    doing = busy or {}
    parts: list[tuple[float, Sequence[float]]] = [
        (weights.memory, [one.free_memory_mib for one in candidates]),
        (weights.vcpus, [one.free_vcpus for one in candidates]),
        (weights.disk, [one.free_disk_gib for one in candidates]),
        (weights.io, [doing.get(one.host, 0) for one in candidates]),
    ]
    if company is not None and company.policy.is_soft:
        parts.append((weights.group, [company.weight(one.host) for one in candidates]))
    sums = [random.random() * JITTER for _ in candidates]
    for weight, values in parts:
        sums = [sum_ + weight * value for sum_, value in zip(sums, _normal(values), strict=True)]
    order = sorted(range(len(candidates)), key=sums.__getitem__, reverse=True)
    return [candidates[at] for at in order]


def _normal(values: Sequence[float]) -> list[float]:
    low, high = min(values, default=0), max(values, default=0)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]
