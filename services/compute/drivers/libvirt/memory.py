"""How much memory a host has for guests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libvirt

CGROUPS = Path("/sys/fs/cgroup")


def total_memory_mib(connection: libvirt.virConnect) -> int:
    """What the machine has, or what our control group may use of it if that is less.

    Summed over all cells: the figures per NUMA node, which libvirt's other calls report, lag behind on machines that
    get their memory while they run.
    """
    try:
        total_kib = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"]
    except libvirt.libvirtError:  # the test driver has none
        total_kib = connection.getInfo()[1] * 1024
    return int(min([total_kib * 1024, *_cgroup_limits()]) // (1 << 20))


def _cgroup_limits() -> Iterator[int]:
    """Memory limits in bytes of our control group and all above it; cgroup v1 says a huge number for none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            yield from _limits(CGROUPS / "memory", path, "memory.limit_in_bytes")
        elif not controllers:
            yield from _limits(CGROUPS, path, "memory.max")


def _limits(root: Path, path: str, name: str) -> Iterator[int]:
    inside = Path(path.lstrip("/"))
    for directory in (inside, *inside.parents):
        with suppress(OSError, ValueError):  # "max", or out of sight in a container
            yield int((root / directory / name).read_text())
