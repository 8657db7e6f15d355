"""A guest's processors and memory in libvirt's words, and what is read back of them from guests that are there."""

from __future__ import annotations

from typing import Any

import os_traits  # type: ignore[import-untyped]
import pytest
from lxml import etree

from services.compute.core.hardware import Hardware, hardware_of
from services.compute.core.hardware.fitting import Held, HostCell, fit
from services.compute.drivers.libvirt.cpu_traits import FEATURES
from services.compute.drivers.libvirt.host_cells import _held
from services.compute.drivers.libvirt.plans import Processing
from services.compute.drivers.libvirt.processors import add_limits, add_processors

CELLS = tuple(
    HostCell(
        number=number,
        shared=(first, first + 1),
        dedicated=(first + 2, first + 3),
        cores=tuple((first + at,) for at in range(4)),
        pages={4: 1 << 18, 2048: 512},
    )
    for number, first in enumerate((0, 4))
)
OWN = {cpu for cell in CELLS for cpu in cell.dedicated}


def asked(specs: dict[str, str] | None = None, *, vcpus: int = 2, **more: str) -> Hardware:
    """`hw__cpu_policy` is the extra spec `hw:cpu_policy`.  Of 256 MiB."""
    named = {name.replace("__", ":"): value for name, value in ((specs or {}) | more).items()}
    return hardware_of({}, named, vcpus=vcpus, memory_mib=256)


def described(hardware: Hardware, *, over: Any = None, **how: Any) -> Any:
    domain = over if over is not None else a_domain()
    place = fit(CELLS, hardware.processors) if hardware.processors.cells else None
    processing = Processing(**({"mode": "maximum", "place": place} | how))
    add_processors(domain, processing, hardware, vcpus=2, memory_mib=256)
    add_limits(domain, hardware)
    return domain


def a_domain() -> Any:
    return etree.fromstring(
        "<domain><features><acpi/></features><devices><disk device='disk'><target dev='vda'/></disk>"
        "<disk device='disk'><target dev='vdz'/><readonly/></disk></devices></domain>"
    )


def text(domain: Any, path: str) -> list[Any]:
    return [dict(found.attrib) or found.text for found in domain.iterfind(path)]


PLAIN = etree.tostring(described(asked()))

# fmt: off
WORDS: tuple[tuple[dict[str, str], str, list[Any]], ...] = (
    ({}, "cpu/topology", [{"sockets": "2", "cores": "1", "threads": "1"}]),
    ({"hw__cpu_max_sockets": "1"}, "cpu/topology", [{"sockets": "1", "cores": "2", "threads": "1"}]),
    ({"hw__pmu": "no"}, "features/pmu", [{"state": "off"}]),
    ({"hw__maxphysaddr_mode": "emulate", "hw__maxphysaddr_bits": "42"}, "cpu/maxphysaddr", [{"mode": "emulate", "bits": "42"}]),
    ({"hw__maxphysaddr_mode": "passthrough"}, "cpu/maxphysaddr", [{"mode": "passthrough"}]),
    ({"quota__cpu_shares": "512"}, "cputune/shares", ["512"]),
    ({"quota__cpu_period": "20000"}, "cputune/period", ["20000"]),
    ({"quota__cpu_quota": "0"}, "cputune/quota", ["-1"]),
    ({"quota__disk_read_iops_sec": "10"}, "devices/disk/iotune/read_iops_sec", ["10"]),
    ({"hw__cpu_policy": "dedicated"}, "cputune/vcpupin", [{"vcpu": "0", "cpuset": "2"}, {"vcpu": "1", "cpuset": "3"}]),
    ({"hw__cpu_policy": "dedicated"}, "cputune/emulatorpin", [{"cpuset": "2-3"}]),
    ({"hw__cpu_policy": "dedicated"}, "cpu/numa/cell", [{"id": "0", "cpus": "0-1", "memory": "256", "unit": "MiB"}]),
    ({"hw__cpu_policy": "mixed", "hw__cpu_dedicated_mask": "1"}, "cputune/vcpupin",
     [{"vcpu": "0", "cpuset": "0-1"}, {"vcpu": "1", "cpuset": "2"}]),
    ({"hw__numa_nodes": "2"}, "numatune/memnode",
     [{"cellid": "0", "mode": "strict", "nodeset": "0"}, {"cellid": "1", "mode": "strict", "nodeset": "1"}]),
    ({"hw__numa_nodes": "2"}, "numatune/memory", [{"mode": "strict", "nodeset": "0-1"}]),
    ({"hw__mem_page_size": "large"}, "memoryBacking/hugepages/page", [{"size": "2048", "unit": "KiB", "nodeset": "0"}]),
    ({"hw__mem_page_size": "small"}, "memoryBacking", []),
    ({"hw__mem_page_size": "any", "hw__locked_memory": "yes"}, "memoryBacking/locked", [None]),
    ({}, "cputune", []), ({}, "numatune", []), ({}, "features/pmu", []),
)
# fmt: on


@pytest.mark.parametrize(("specs", "path", "found"), WORDS)
def test_a_flavor_s_words_become_libvirt_s(specs: dict[str, str], path: str, found: list[Any]) -> None:
    assert text(described(asked(specs)), path) == found


@pytest.mark.parametrize("specs", [specs for specs, _, found in WORDS if found])
def test_another_size_leaves_nothing_of_the_one_before(specs: dict[str, str]) -> None:
    before = described(asked(specs))

    after = described(asked(), over=before)

    assert sorted(etree.tostring(one) for one in after) == sorted(
        etree.tostring(one) for one in etree.fromstring(PLAIN)
    )


@pytest.mark.parametrize(
    ("how", "path", "found"),
    [
        ({"mode": "host-model"}, "cpu", [{"mode": "host-model"}]),
        ({"mode": "custom", "model": "Nehalem"}, "cpu", [{"mode": "custom", "match": "exact"}]),
        ({"mode": "custom", "model": "Nehalem"}, "cpu/model", [{"fallback": "forbid"}]),
        ({"flags": ("pcid", "-vmx")}, "cpu/feature",
         [{"policy": "require", "name": "pcid"}, {"policy": "disable", "name": "vmx"}]),
        ({"shared": frozenset({0, 1, 4})}, "vcpu", [{"placement": "static", "cpuset": "0-1,4"}]),
        ({"mode": None}, "cpu", []),
    ],
)  # fmt: skip
def test_an_operator_says_which_processor_guests_see_and_share(
    how: dict[str, Any], path: str, found: list[Any]
) -> None:
    assert text(described(asked(), **how), path) == found


@pytest.mark.parametrize(
    ("hardware", "cpus", "memory_kib"),
    [
        (asked(hw__cpu_policy="dedicated"), {2, 3}, {(0, 4): 256 * 1024}),
        (
            asked(vcpus=1, hw__cpu_policy="dedicated", hw__emulator_threads_policy="isolate"),
            {2, 3},
            {(0, 4): 256 * 1024},
        ),
        (asked(hw__cpu_policy="mixed", hw__cpu_dedicated_mask="0"), {2}, {(0, 4): 256 * 1024}),
        (asked(hw__numa_nodes="2"), set(), {(0, 4): 128 * 1024, (1, 4): 128 * 1024}),
        (asked(hw__mem_page_size="2048"), set(), {(0, 2048): 256 * 1024}),
        (asked(), set(), {}),
    ],
)
def test_what_a_guest_has_is_read_from_its_own_description(
    hardware: Hardware, cpus: set[int], memory_kib: dict[tuple[int, int], int]
) -> None:
    written = etree.fromstring(etree.tostring(described(hardware)))

    assert _held([[written]], OWN) == Held(frozenset(cpus), memory_kib)


def test_every_trait_of_a_processor_is_one_that_placement_knows() -> None:
    assert set(FEATURES) <= set(os_traits.get_traits())
