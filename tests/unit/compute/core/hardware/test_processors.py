"""What flavors and images may ask of processors and memory, and what is wrong with the rest, in OpenStack's words."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import InvalidInput
from services.compute.core.hardware.cpu_sets import cpus_of, text_of
from services.compute.core.hardware.limits import limits_of
from services.compute.core.hardware.policies import ThreadPolicy
from services.compute.core.hardware.processors import Processors, processors_of
from services.compute.core.hardware.settings import Asked
from services.compute.core.hardware.topology import Topology

Words = dict[str, str]


def asked(specs: Words, properties: Words | None = None, *, vcpus: int = 4, memory_mib: int = 1024) -> Processors:
    """`cpu_policy` in a flavor is `hw:cpu_policy`, in an image `hw_cpu_policy`."""
    in_flavor = {name if ":" in name else f"hw:{name}": value for name, value in specs.items()}
    in_image = {name if ":" in name else f"hw_{name}": value for name, value in (properties or {}).items()}
    return processors_of(Asked(in_image, in_flavor, "i", "f"), vcpus=vcpus, memory_mib=memory_mib)


@pytest.mark.parametrize(
    ("specs", "properties", "vcpus", "arranged"),
    [
        ({}, {}, 4, (4, 1, 1)),
        ({"cpu_sockets": "2"}, {}, 4, (2, 2, 1)),
        ({"cpu_cores": "2", "cpu_threads": "2"}, {}, 8, (2, 2, 2)),
        ({"cpu_max_sockets": "2"}, {}, 8, (2, 4, 1)),
        ({"cpu_max_sockets": "1", "cpu_max_cores": "4"}, {}, 8, (1, 4, 2)),
        ({"cpu_sockets": "4"}, {"cpu_cores": "4"}, 4, (1, 4, 1)),
        ({"cpu_sockets": "4"}, {"cpu_max_sockets": "2"}, 4, (2, 2, 1)),
        ({"cpu_threads": "3"}, {}, 4, (4, 1, 1)),
        ({}, {"cpu_threads": "2"}, 2, (1, 1, 2)),
        ({}, {}, 1, (1, 1, 1)),
    ],
)
def test_processors_are_arranged_as_preferred_within_the_limits(
    specs: Words, properties: Words, vcpus: int, arranged: tuple[int, int, int]
) -> None:
    topology = asked(specs, properties, vcpus=vcpus).topology or Topology(sockets=vcpus)

    assert (topology.sockets, topology.cores, topology.threads) == arranged


@pytest.mark.parametrize(
    ("specs", "properties", "dedicated"),
    [
        ({"cpu_policy": "dedicated"}, {}, 4),
        ({"cpu_policy": "dedicated", "emulator_threads_policy": "isolate"}, {}, 5),
        ({"cpu_policy": "dedicated"}, {"cpu_policy": "shared"}, 4),
        ({}, {"cpu_policy": "dedicated"}, 4),
        ({"cpu_policy": "mixed", "cpu_dedicated_mask": "^0"}, {}, 3),
        ({"cpu_policy": "mixed", "cpu_dedicated_mask": "0-1"}, {}, 2),
        ({"resources:PCPU": "4"}, {}, 4),
        ({"cpu_policy": "shared"}, {}, 0),
        ({"numa_nodes": "2"}, {}, 0),
        ({}, {}, 0),
    ],
)
def test_so_many_processors_of_a_host_are_a_guest_s_own(specs: Words, properties: Words, dedicated: int) -> None:
    assert asked(specs, properties).dedicated == dedicated


@pytest.mark.parametrize(
    ("specs", "properties", "cells"),
    [
        ({}, {}, []),
        ({"cpu_policy": "dedicated"}, {}, [((0, 1, 2, 3), 1024)]),
        ({"numa_nodes": "2"}, {}, [((0, 1), 512), ((2, 3), 512)]),
        ({}, {"numa_nodes": "2"}, [((0, 1), 512), ((2, 3), 512)]),
        (
            {"numa_nodes": "2", "numa_cpus.0": "0,2-3", "numa_mem.0": "768", "numa_cpus.1": "1", "numa_mem.1": "256"}, {},
            [((0, 2, 3), 768), ((1,), 256)],
        ),
        ({"mem_page_size": "large"}, {}, [((0, 1, 2, 3), 1024)]),
    ],
)  # fmt: skip
def test_processors_and_memory_are_parted_into_cells(specs: Words, properties: Words, cells: list[Any]) -> None:
    found = asked(specs, properties).cells

    assert [(tuple(sorted(cell.shared + cell.dedicated)), cell.memory_mib) for cell in found] == cells


@pytest.mark.parametrize(
    ("flavor", "image", "size"),
    [
        ("small", None, "small"), ("2048", None, 2048), ("2MB", None, 2048), ("1GiB", None, 1 << 20), ("16384kb", None, 2048),
        ("large", "2048", 2048), ("any", "large", "large"), ("large", None, "large"),
    ],
)  # fmt: skip
def test_pages_are_of_the_size_asked_for(flavor: str, image: str | None, size: str | int) -> None:
    assert asked({"mem_page_size": flavor}, {"mem_page_size": image} if image else {}).page_size == size


@pytest.mark.parametrize(
    ("specs", "properties", "sentence"),
    [
        ({"cpu_max_sockets": "1"}, {"cpu_max_sockets": "2"},
         r"Image vCPU topology limits \(sockets=2, cores=0, threads=0\) exceeds the limits of the flavor \(sockets=1, cores=0"),
        ({"cpu_max_cores": "1"}, {"cpu_cores": "2"}, r"Image vCPU topology \(sockets=0, cores=2, threads=0\) exceeds the"),
        ({"cpu_max_sockets": "1", "cpu_max_cores": "1", "cpu_max_threads": "1"}, {},
         "Requested vCPU limits 1:1:1 are impossible to satisfy for vcpus count 4"),
        ({"cpu_sockets": "x"}, {}, "Validation failed; 'x' is not a valid integer"),
        ({}, {"cpu_sockets": "9" * 5000}, "Invalid image metadata. Error: Field value 999.* is invalid"),
        ({}, {"cpu_sockets": "two"}, "Invalid image metadata. Error: invalid literal for int"),
        ({"cpu_policy": "lonely"}, {}, "CPU policy requested from 'flavor extra specs' is invalid, given: 'lonely', avail"),
        ({}, {"cpu_policy": "lonely"}, "Invalid image metadata. Error: Field value lonely is invalid"),
        ({"cpu_policy": "shared"}, {"cpu_policy": "dedicated"}, "Image property 'hw_cpu_policy' is not permitted to overr"),
        ({"cpu_policy": "dedicated", "cpu_thread_policy": "require"}, {"cpu_thread_policy": "isolate"},
         "Image property 'hw_cpu_thread_policy' is not permitted to override CPU thread pinning"),
        ({"cpu_thread_policy": "isolate"}, {}, "Cannot set cpu thread pinning policy in a non dedicated cpu pinning policy"),
        ({"emulator_threads_policy": "isolate"}, {}, "An isolated CPU emulator threads option requires a dedicated CPU"),
        ({"emulator_threads_policy": "away"}, {}, "CPU emulator threads option requested is invalid, given: 'away'"),
        ({"cpu_dedicated_mask": "0"}, {}, "Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy"),
        ({"cpu_policy": "mixed"}, {}, "Dedicated CPU set can be specified from either 'hw:cpu_dedicated_mask'"),
        ({"cpu_policy": "mixed", "cpu_dedicated_mask": "0-3"}, {}, "Mixed instance must have at least 1 pinned vCPU"),
        ({"cpu_policy": "mixed", "cpu_dedicated_mask": "0,9"}, {}, "mask is not a subset of vCPUs in the flavor"),
        ({"cpu_policy": "dedicated", "resources:PCPU": "4"}, {}, "It is not possible to use the 'resources:VCPU' or"),
        ({"resources:VCPU": "4", "resources:PCPU": "4"}, {}, "It is not possible to specify both 'resources:VCPU'"),
        ({"resources:PCPU": "3"}, {}, "There is a mismatch between the number of PCPUs requested"),
        ({"resources:PCPU": "4", "emulator_threads_policy": "isolate"}, {}, "you must allocate exactly flavor.vcpus . 1"),
        ({"cpu_policy": "dedicated", "cpu_thread_policy": "isolate", "trait:HW_CPU_HYPERTHREADING": "required"}, {},
         "It is not possible to use the 'trait:HW_CPU_HYPERTHREADING' extra spec in combination"),
        ({"cpu_realtime": "yes"}, {}, "Real-time processors .* are not available"),
        ({"pmem": "6GB"}, {}, "Persistent memory .* is not available"),
        ({"numa_nodes": "3"}, {}, "cannot be evenly distributed across instance NUMA nodes"),
        ({"numa_nodes": "0"}, {}, "The property 'numa_nodes' cannot be '0'. It must be a number greater than 0"),
        ({"numa_nodes": "2"}, {"numa_nodes": "2"}, "Image property 'hw_numa_nodes' is not permitted to override NUMA"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-3"}, {}, "CPU and memory allocation must be provided for all NUMA nodes"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-4", "numa_mem.0": "1024"}, {}, "CPU number 4 is larger than max 3"),
        ({"numa_nodes": "2"}, {"numa_cpus.0": "0-3", "numa_cpus.1": "3", "numa_mem.0": "512", "numa_mem.1": "512"},
         "CPU number 3 is assigned to two nodes"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-2", "numa_mem.0": "1024"}, {}, r"CPU number \{3\} is not assigned to any node"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-3", "numa_mem.0": "1000"}, {}, "1000 MB of memory assigned, but expected 1024"),
        ({"numa_nodes": "2", "numa_cpus.0": "0-3", "numa_mem.0": "2048", "numa_cpus.1": "", "numa_mem.1": "-1024"}, {},
         "1024 MB of memory assigned, but expected 1024"),
        ({"numa_nodes": "1", "numa_cpus.0": "0-99999999999", "numa_mem.0": "1024"}, {}, "Invalid range expression"),
        ({}, {"mem_page_size": "large"}, "Page size large forbidden against '<empty>'"),
        ({"mem_page_size": "small"}, {"mem_page_size": "2048"}, "Page size 2048 forbidden against 'small'"),
        ({"mem_page_size": "huge"}, {}, "Invalid memory page size 'huge'"),
        ({"mem_page_size": "any"}, {"mem_page_size": "0"}, "Invalid memory page size '0'"),
        ({"locked_memory": "yes"}, {}, "locked_memory value in image or flavor is forbidden when mem_page_size is not set"),
        ({"locked_memory": "yes", "mem_page_size": "any"}, {"locked_memory": "no"}, r"in image \(False\) and flavor"),
        ({"vif_multiqueue_enabled": "yes"}, {"vif_multiqueue_enabled": "no"}, "has hw:vif_multiqueue_enabled extra spec expl"),
        ({"pmu": "true"}, {"pmu": "false"}, "Flavor f has hw:pmu extra spec explicitly set to True, conflicting with image i"),
        ({"maxphysaddr_mode": "guess"}, {}, "Validation failed; 'guess' is not one of: passthrough, emulate"),
        ({"maxphysaddr_mode": "emulate"}, {}, "says nothing without hw:maxphysaddr_bits"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_as_openstack_says_it(specs: Words, properties: Words, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        asked(specs, properties)


def test_a_thread_policy_asks_for_a_kind_of_host() -> None:
    dedicated = {"cpu_policy": "dedicated"}

    isolated = asked(dedicated | {"cpu_thread_policy": "isolate"})
    paired = asked(dedicated | {"trait:HW_CPU_HYPERTHREADING": "required"})

    assert isolated.traits() == (frozenset(), frozenset({"HW_CPU_HYPERTHREADING"}))
    assert paired.threads is ThreadPolicy.REQUIRE


@pytest.mark.parametrize(
    ("text", "cpus"), [("0-3,^1", {0, 2, 3}), (" 1 , 5-6 ,", {1, 5, 6}), ("", set()), ("^1", set())]
)
def test_a_set_of_processors_is_read(text: str, cpus: set[int]) -> None:
    assert cpus_of(text) == cpus
    assert cpus_of(text_of(cpus)) == cpus


@pytest.mark.parametrize("text", ["a", "3-1", "1-", "-1", "^x", "1-2-3", "0-4000000000", "٣"])
def test_what_is_no_set_of_processors_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expression"):
        cpus_of(text)


def test_a_flavor_limits_time_and_traffic() -> None:
    limits = limits_of(
        Asked({}, {
            "quota:cpu_shares": "512", "quota:cpu_period": "20000", "quota:cpu_quota": "10000",
            "quota:disk_read_bytes_sec": "1000", "quota:disk_read_bytes_sec_max": "2000", "quota:disk_total_iops_sec": "0",
            "quota:vif_inbound_average": "100", "hw:cpu_policy": "shared",
        })
    )  # fmt: skip

    assert (limits.cpu_shares, limits.cpu_period_us, limits.cpu_quota_us) == (512, 20000, 10000)
    assert limits.disk == {"read_bytes_sec": 1000, "read_bytes_sec_max": 2000}
    assert limits.vif == {"inbound_average": 100}


@pytest.mark.parametrize(
    "specs",
    [
        {"cpu_shares": "1"}, {"cpu_shares": "many"}, {"cpu_period": "10"}, {"cpu_quota": "5"}, {"disk_read_iops_sec": "-1"},
        {"disk_total_bytes_sec": "9", "disk_write_bytes_sec": "9"}, {"disk_read_bytes_sec_max": "9"},
        {"disk_read_bytes_sec": "9", "disk_read_bytes_sec_max_length": "9"}, {"vif_inbound_peak": "x"},
    ],
)  # fmt: skip
def test_a_limit_that_no_host_can_set_is_refused(specs: Words) -> None:
    with pytest.raises(InvalidInput, match=r"Invalid flavor extra spec|Validation failed"):
        limits_of(Asked({}, {f"quota:{name}": value for name, value in specs.items()}))
