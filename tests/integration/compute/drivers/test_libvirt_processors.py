"""What a flavor says of processors, memory and limits, as libvirt has set it for guests that run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from common.errors import HostFailed
from services.compute.core.guests import GuestSize, GuestSpec, PowerState
from services.compute.core.hardware import Hardware, hardware_of
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.harness.libvirt_node import LibvirtNode
from tests.unit.compute.drivers.builders import a_spec, eventually, libvirt_options

LAST = max(os.sched_getaffinity(0))  # the processor for guests that have one of their own
Agent = Callable[..., LibvirtHypervisor]


@pytest.fixture
def agent(place: Path, libvirtd: None) -> Iterator[Agent]:
    """Agents of this machine, with these options."""
    made: list[LibvirtHypervisor] = []

    def start(**options: Any) -> LibvirtHypervisor:
        made.append(LibvirtHypervisor(replace(libvirt_options(place), **options)))
        return made[-1]

    yield start
    for one in made:
        for found in one.guests():
            one.destroy(found.server_id)
        one.retire()
        one.close()


def hardware(specs: dict[str, str], *, vcpus: int = 1, memory_mib: int = 128) -> Hardware:
    return hardware_of({}, specs, vcpus=vcpus, memory_mib=memory_mib)


def a_guest(specs: dict[str, str], *, vcpus: int = 1, memory_mib: int = 128) -> GuestSpec:
    made = hardware(specs, vcpus=vcpus, memory_mib=memory_mib)
    return a_spec(memory_mib=memory_mib).model_copy(update={"vcpus": vcpus, "hardware": made})


def virsh(*arguments: object) -> dict[str, str]:
    """`name : value` of each line."""
    command = ["virsh", "-q", "-c", "qemu:///system", *map(str, arguments)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = (line.partition(":") if ":" in line else line.partition(" ") for line in lines if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def qemu(spec: GuestSpec) -> Path:
    pid = Path(f"/run/libvirt/qemu/pileus-{spec.server_id.hex[:12]}.pid").read_text()
    return Path("/proc") / pid.strip()


def allowed(spec: GuestSpec) -> dict[str, str]:
    """Thread of the guest's process -> the processors that the kernel lets it run on."""
    found = {}
    for thread in (qemu(spec) / "task").iterdir():
        status = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines() if ":\t" in line)
        found[status["Name"]] = status["Cpus_allowed_list"]
    return found


SLOW = {
    "quota:cpu_shares": "512", "quota:cpu_period": "20000", "quota:cpu_quota": "15000",
    "quota:disk_read_bytes_sec": "10485760", "quota:disk_read_bytes_sec_max": "20971520", "quota:disk_write_iops_sec": "200",
}  # fmt: skip
FAST = {"quota:cpu_shares": "2048", "quota:disk_total_iops_sec": "900"}


def test_a_flavor_s_limits_hold_and_a_resize_changes_them(agent: Agent, image: Path) -> None:
    hypervisor, spec = agent(), a_guest(SLOW)
    hypervisor.create(spec, image)

    time, disk = virsh("schedinfo", spec.server_id), virsh("blkdeviotune", spec.server_id, "vda")
    size = GuestSize(flavor="fast", vcpus=1, memory_mib=128, root_gib=1, hardware=hardware(FAST))
    hypervisor.resize(spec.server_id, size)
    hypervisor.start(spec.server_id)
    time_after, disk_after = virsh("schedinfo", spec.server_id), virsh("blkdeviotune", spec.server_id, "vda")

    assert (time["cpu_shares"], time["vcpu_period"], time["vcpu_quota"]) == ("512", "20000", "15000")
    assert (disk["read_bytes_sec"], disk["read_bytes_sec_max"], disk["write_iops_sec"]) == (
        "10485760",
        "20971520",
        "200",
    )
    assert (time_after["cpu_shares"], time_after["vcpu_quota"]) == ("2048", "-1")
    assert (disk_after["total_iops_sec"], disk_after["read_bytes_sec"]) == ("900", "0")


def test_a_dedicated_processor_is_one_guest_s_alone(agent: Agent, image: Path) -> None:
    hypervisor = agent(dedicated_cpus=frozenset({LAST}), shared_cpus=frozenset({0}))
    own, common = a_guest({"hw:cpu_policy": "dedicated"}), a_guest({}, vcpus=2)
    hypervisor.create(own, image)
    hypervisor.create(common, image)

    with pytest.raises(HostFailed, match="not enough free processors"):
        hypervisor.create(a_guest({"hw:cpu_policy": "dedicated"}), image)

    assert hypervisor.facts().pcpus == 1
    assert set(allowed(own).values()) == {str(LAST)}
    assert {cpus for thread, cpus in allowed(common).items() if thread.startswith("CPU")} == {"0"}


def test_a_guest_s_cells_lie_in_the_host_s(agent: Agent, image: Path) -> None:
    hypervisor, spec = agent(), a_guest({"hw:numa_nodes": "1", "hw:cpu_max_sockets": "1"}, vcpus=2)

    hypervisor.create(spec, image)

    domain = hypervisor._connection.call(lambda connection: connection.lookupByUUID(spec.server_id.bytes).XMLDesc())
    described = etree.fromstring(domain)
    assert [dict(node.attrib) for node in described.iterfind("numatune/memnode")] == [
        {"cellid": "0", "mode": "strict", "nodeset": "0"}
    ]
    assert b"cpus=0-1" in (qemu(spec) / "cmdline").read_bytes().replace(b"cpus=0,cpus=1", b"cpus=0-1")
    assert "sockets=1,dies=1,cores=2,threads=1" in (qemu(spec) / "cmdline").read_text()
    with pytest.raises(HostFailed):
        hypervisor.create(a_guest({"hw:numa_nodes": "8"}, vcpus=8), image)


def test_an_operator_says_which_processor_guests_see(agent: Agent, image: Path) -> None:
    models = ("qemu64", "Nehalem", "Westmere")
    hypervisor = agent(cpu_mode="custom", cpu_models=models, cpu_flags=("-lahf_lm",))
    plain, aes = a_guest({}), a_guest({"trait:HW_CPU_X86_AESNI": "required"})

    for spec in (plain, aes):
        assert hypervisor.create(spec, image) is PowerState.RUNNING

    assert "-cpu\0qemu64" in (qemu(plain) / "cmdline").read_text()
    assert "-cpu\0Westmere" in (qemu(aes) / "cmdline").read_text()
    assert {"HW_CPU_X86_AESNI", "HW_CPU_X86_SSE42"} <= set(hypervisor.facts().traits)
    with pytest.raises(HostFailed, match="No processor in cpu_models"):
        hypervisor.create(a_guest({"trait:HW_CPU_X86_AVX512F": "required"}), image)


def test_memory_is_made_of_large_pages(place: Path, image: Path, large_pages: int) -> None:
    node = LibvirtNode(place, mounts={"/dev/hugepages": "-t hugetlbfs -o pagesize=2M none"})
    hypervisor = LibvirtHypervisor(libvirt_options(place, uri=node.uri))
    spec = a_guest({"hw:mem_page_size": "2MB"})
    other = a_guest({"hw:mem_page_size": "large"}, memory_mib=2 * large_pages)
    before = free_pages()
    try:
        state = hypervisor.create(spec, image)
        used = before - free_pages()

        assert state is PowerState.RUNNING
        assert hypervisor.facts().cells[0].pages[2048] == large_pages
        assert used == 64
        with pytest.raises(HostFailed, match="memory pages"):
            hypervisor.create(other, image)
    finally:
        for one in (spec, other):
            hypervisor.destroy(one.server_id)
        hypervisor.close()
        node.stop()


PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def free_pages() -> int:
    return int((PAGES / "free_hugepages").read_text())


@pytest.fixture
def large_pages() -> Iterator[int]:
    """So many: enough for one guest, besides those that the machine has already."""
    before = int((PAGES / "nr_hugepages").read_text())

    def are_there() -> bool:
        (PAGES / "nr_hugepages").write_text(str(before + 80))  # the kernel makes as many as it finds room for now
        return free_pages() >= 80

    try:
        assert eventually(are_there)
        yield int((PAGES / "nr_hugepages").read_text())
    finally:
        (PAGES / "nr_hugepages").write_text(str(before))
