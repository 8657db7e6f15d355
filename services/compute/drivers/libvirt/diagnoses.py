"""How a running guest does, in libvirt's figures."""

from __future__ import annotations

import libvirt
from lxml import etree

from services.compute.core.guests import Diagnosis, DiskUse
from services.compute.drivers.libvirt.owned import power_state


def diagnose(domain: libvirt.virDomain) -> Diagnosis:
    """Figures that libvirt does not have, of a guest that is off or of its test driver, are left out."""
    description = etree.fromstring(domain.XMLDesc().encode())
    memory = _memory(domain)
    most_kib = memory.get("actual") or int(domain.info()[1])
    return Diagnosis(
        driver="libvirt",
        hypervisor=str(description.get("type")),
        power_state=power_state(domain),
        cpu_times_ns=_cpu_times(domain),
        memory_kib=most_kib,
        memory_used_kib=most_kib - memory.get("unused", most_kib),
        memory_rss_kib=memory.get("rss", 0),
        disks=[
            use for target in description.iterfind("devices/disk/target") if (use := _disk(domain, target.get("dev")))
        ],
    )


def _cpu_times(domain: libvirt.virDomain) -> list[int]:
    try:
        return [int(cpu[2]) for cpu in domain.vcpus()[0]]
    except libvirt.libvirtError:
        return []


def _memory(domain: libvirt.virDomain) -> dict[str, int]:
    try:
        return dict(domain.memoryStats())
    except libvirt.libvirtError:
        return {}


def _disk(domain: libvirt.virDomain, name: str | None) -> DiskUse | None:
    if name is None:
        return None
    try:
        read_requests, read_bytes, write_requests, write_bytes, _ = domain.blockStats(name)
    except libvirt.libvirtError:
        return None
    return DiskUse(
        name=name,
        read_bytes=read_bytes,
        read_requests=read_requests,
        write_bytes=write_bytes,
        write_requests=write_requests,
    )
