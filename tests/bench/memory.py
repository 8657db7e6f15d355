"""Resident memory as PSS: the whole embedded cloud, and each process of a distributed one."""

from __future__ import annotations

from pathlib import Path

from tests.bench.report import Figure, told, within
from tests.harness.clouds import Cloud
from tests.harness.waiting import until

OWN = ("identity", "image", "compute-api", "placement-api", "compute-console", "compute-worker", "gateway", "agent")


def measure(cloud: Cloud) -> list[Figure]:
    mib = sum(family_mib(pid) for pid in cloud.pids().values())
    return [within("idle memory, embedded, all services", mib, 200, "MiB PSS")]


def measure_processes(cloud: Cloud) -> list[Figure]:
    until(lambda: not children(cloud.pids()["image"]), within_s=60, what="the end of the idle image inspector")
    sizes = {name: family_mib(pid) for name, pid in cloud.pids().items() if name in OWN}
    return [within(f"idle memory, distributed {name}", mib, 90, "MiB PSS") for name, mib in sizes.items()] + [
        told("idle memory, distributed, all of these", f"{sum(sizes.values()):.0f} MiB PSS")
    ]


def family_mib(pid: int) -> float:
    """A process with its children."""
    return pss_mib(pid) + sum(family_mib(child) for child in children(pid))


def pss_mib(pid: int) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


def children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []
