"""What one host is and has, as libvirt and the kernel tell."""

from __future__ import annotations

import os
from collections.abc import Sequence

import libvirt
from lxml import etree

from services.compute.core.consoles import ConsoleKind
from services.compute.core.hardware.fitting import HostCell
from services.compute.core.hypervisors import HostFacts
from services.compute.drivers.libvirt.cpu_traits import processor_traits
from services.compute.drivers.libvirt.memory import total_memory_mib
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.plans import Machine

GIB = 1 << 30
# os-traits names; how guests run is ours
TRAITS = {
    "kvm": ("COMPUTE_ARCH_X86_64", "CUSTOM_PILEUS_ACCEL_KVM"),
    "qemu": ("COMPUTE_ARCH_X86_64", "CUSTOM_PILEUS_ACCEL_TCG"),
    "test": ("CUSTOM_PILEUS_ACCEL_NONE",),
}
TYPES = {"kvm": "KVM", "qemu": "QEMU", "test": "TEST"}


def host_facts(
    connection: libvirt.virConnect, options: LibvirtOptions, machine: Machine, cells: Sequence[HostCell]
) -> HostFacts:
    disk = os.statvfs(options.storage)
    return HostFacts(
        host=options.host,
        address=options.address,
        hypervisor_type=TYPES[machine.virt_type],
        hypervisor_version=int(connection.getVersion()),
        vcpus=_shared(connection, options, cells),
        pcpus=sum(len(cell.dedicated) for cell in cells),
        cells=tuple(cells),
        memory_mib=total_memory_mib(connection),
        disk_gib=disk.f_blocks * disk.f_frsize // GIB,
        disk_free_gib=disk.f_bavail * disk.f_frsize // GIB,
        cpu_info=cpu_info(connection.getCapabilities()),
        traits=tuple(
            sorted(
                {*TRAITS[machine.virt_type], *machine.traits, *processor_traits(connection, options, machine, cells)}
            )
        ),
        consoles=(*machine.screens, ConsoleKind.SERIAL),
        memory_reserved_mib=options.memory_reserved_mib,
    )


def _shared(connection: libvirt.virConnect, options: LibvirtOptions, cells: Sequence[HostCell]) -> int:
    """Processors for guests that share them: all, unless an operator says which."""
    if options.shared_cpus is None:
        return int(connection.getInfo()[2])
    return sum(len(cell.shared) for cell in cells)


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
