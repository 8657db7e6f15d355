"""What one host is and has, as libvirt and the kernel tell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libvirt
from lxml import etree

from services.compute.core.hypervisors import HostFacts
from services.compute.drivers.libvirt.options import LibvirtOptions

GIB = 1 << 30
CGROUPS = Path("/sys/fs/cgroup")
# os-traits names; how guests run is ours
TRAITS = {
    "kvm": ("COMPUTE_ARCH_X86_64", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW", "CUSTOM_PILEUS_ACCEL_KVM"),
    "qemu": ("COMPUTE_ARCH_X86_64", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW", "CUSTOM_PILEUS_ACCEL_TCG"),
    "test": ("CUSTOM_PILEUS_ACCEL_NONE",),
}
TYPES = {"kvm": "KVM", "qemu": "QEMU", "test": "TEST"}


def host_facts(connection: libvirt.virConnect, options: LibvirtOptions, virt_type: str) -> HostFacts:
    disk = os.statvfs(options.storage)
    return HostFacts(
        host=options.host,
        address=options.address,
        hypervisor_type=TYPES[virt_type],
        hypervisor_version=int(connection.getVersion()),
        vcpus=int(connection.getInfo()[2]),
        memory_mib=total_memory_mib(connection),
        disk_gib=disk.f_blocks * disk.f_frsize // GIB,
        disk_free_gib=disk.f_bavail * disk.f_frsize // GIB,
        cpu_info=cpu_info(connection.getCapabilities()),
        traits=TRAITS[virt_type],
        memory_reserved_mib=options.memory_reserved_mib,
    )


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


def cpu_info(capabilities: str) -> dict[str, object]:
    """The shape of hypervisor_show's cpu_info."""
    cpu = etree.fromstring(capabilities.encode()).find("host/cpu")
    if cpu is None:
        return {}
    topology = cpu.find("topology")
    return {
        "arch": cpu.findtext("arch", ""),
        "model": cpu.findtext("model", ""),
        "vendor": cpu.findtext("vendor", ""),
        "topology": {} if topology is None else {key: int(value) for key, value in topology.attrib.items()},
        "features": sorted(str(feature.get("name")) for feature in cpu.findall("feature")),
    }


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
