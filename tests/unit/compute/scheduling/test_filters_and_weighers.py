"""Each rule of the scheduler by itself: which host it removes, or puts first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from services.compute.core.demands import demand_of
from services.compute.core.filters import FILTERS, explain
from services.compute.core.hypervisors import suits
from services.compute.core.placement import Stock
from services.compute.core.scheduling import Candidate, HostView, Wish
from services.compute.core.server_groups import Company, GroupPolicy
from services.compute.core.weighers import Weights, best_first
from tests.unit.compute.scheduling.test_explanations import FLAVOR, a_host, a_wish

DEDICATED = {"hw:cpu_policy": "dedicated"}
GOOD = a_host("good", traits=frozenset({"CUSTOM_A"}))
SMALL = Stock(total=1, reserved=0, allocation_ratio=1.0, used=0, max_unit=1)


def lacking(resource: str) -> HostView:
    return replace(GOOD, name="bad", stock={**GOOD.stock, resource: SMALL})


# fmt: off
REMOVALS: Mapping[str, tuple[HostView, Wish]] = {  # filter -> a host that it removes, and what is asked for then
    "ComputeFilter":                     (replace(GOOD, name="bad", is_up=False), a_wish()),
    "EnabledFilter":                     (replace(GOOD, name="bad", is_disabled=True), a_wish()),
    "AvailabilityZoneFilter":            (replace(GOOD, name="bad", zone="east"), a_wish(wanted_zone="nova")),
    "RequestedHostFilter":               (replace(GOOD, name="bad"), a_wish(wanted_zone="nova:good")),
    "RetryFilter":                       (replace(GOOD, name="bad"), a_wish(failed_hosts=["bad"])),
    "SameHostFilter":                    (replace(GOOD, name="bad"), a_wish(beside=["good"])),
    "DifferentHostFilter":               (replace(GOOD, name="bad"), a_wish(apart=["bad"])),
    "ServerGroupAffinityFilter":         (replace(GOOD, name="bad"), replace(a_wish(), with_group=frozenset({"good"}))),
    "ServerGroupAntiAffinityFilter":     (replace(GOOD, name="bad"), replace(a_wish(), group_full=frozenset({"bad"}))),
    "AggregateInstanceExtraSpecsFilter": (replace(GOOD, name="bad"), replace(a_wish(), for_flavor=frozenset({"good"}))),
    "AggregateMultiTenancyIsolation":    (replace(GOOD, name="bad"), replace(a_wish(), for_others=frozenset({"bad"}))),
    "AggregateImagePropertiesIsolation": (replace(GOOD, name="bad"), replace(a_wish(), for_other_images=frozenset({"bad"}))),
    "ImagePropertiesFilter":             (replace(GOOD, name="bad"), replace(a_wish(), for_properties=frozenset({"good"}))),
    "NUMATopologyFilter":                (replace(GOOD, name="bad"), replace(a_wish(), without_cells={"bad": "has none"})),
    "GroupsFilter":                      (replace(GOOD, name="bad"), replace(a_wish(), for_groups=frozenset({"good"}))),
    "TraitsFilter":                      (replace(GOOD, name="bad", traits=frozenset()),
                                          a_wish(flavor=FLAVOR | {"extra_specs": {"trait:CUSTOM_A": "required"}})),
    "MEMORY_MBFilter":                   (lacking("MEMORY_MB"), a_wish()),
    "VCPUFilter":                        (lacking("VCPU"), a_wish(flavor=FLAVOR | {"vcpus": 2})),
    "PCPUFilter":                        (lacking("PCPU"), a_wish(flavor=FLAVOR | {"vcpus": 2, "extra_specs": DEDICATED})),
    "DISK_GBFilter":                     (lacking("DISK_GB"), a_wish()),
    "ResourcesFilter":                   (replace(GOOD, name="bad"),
                                          a_wish(flavor=FLAVOR | {"extra_specs": {"resources:CUSTOM_CARD": "1"}})),
}
# fmt: on


def test_every_filter_is_tried_here() -> None:
    assert [rule.name for rule in FILTERS] == list(REMOVALS)


@pytest.mark.parametrize("name", REMOVALS)
def test_a_filter_removes_the_host_that_it_is_for_and_no_other(name: str) -> None:
    bad, wish = REMOVALS[name]
    good = replace(GOOD, stock={"PCPU": GOOD.stock["VCPU"], **GOOD.stock, "CUSTOM_CARD": SMALL})

    told = explain([good, bad], wish)

    assert [(rule.name, hosts) for rule, hosts in told.removed] == [(name, ("bad",))]


def test_a_forbidden_trait_removes_too() -> None:
    wish = a_wish(image_properties={"trait:CUSTOM_A": "forbidden"})

    [(rule, hosts)] = explain([GOOD], wish).removed

    assert (rule.name, hosts) == ("TraitsFilter", ("good",))


def test_a_flavor_says_itself_what_it_takes() -> None:
    specs = {"resources:VCPU": "0", "resources:CUSTOM_CARD": "2", "resources:MEMORY_MB": "64", "resources_A:VGPU": "1"}

    demand = demand_of(FLAVOR | {"extra_specs": specs}, {})

    assert demand.resources == {"MEMORY_MB": 64, "DISK_GB": 10, "CUSTOM_CARD": 2}
    assert {suffix: group.resources for suffix, group in demand.groups.items()} == {"_A": {"VGPU": 1}}


@pytest.mark.parametrize(
    ("specs", "properties", "processors"),
    [
        ({}, {}, {"VCPU": 4}),
        ({"hw:cpu_policy": "dedicated"}, {}, {"PCPU": 4}),
        ({}, {"hw_cpu_policy": "dedicated"}, {"PCPU": 4}),
        ({"hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate"}, {}, {"PCPU": 5}),
        ({"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0"}, {}, {"VCPU": 3, "PCPU": 1}),
        ({"resources:PCPU": "4"}, {}, {"PCPU": 4}),
        ({"resources1:PCPU": "4"}, {}, {}),
        ({"hw:numa_nodes": "2"}, {}, {"VCPU": 4}),
    ],
)
def test_dedicated_processors_are_claimed_as_such(
    specs: dict[str, str], properties: dict[str, str], processors: dict[str, int]
) -> None:
    demand = demand_of(FLAVOR | {"vcpus": 4, "extra_specs": specs}, properties)

    assert {name: amount for name, amount in demand.resources.items() if name.endswith("CPU")} == processors


def test_what_would_fit_is_told_of_other_resources_too() -> None:
    host = replace(GOOD, stock={**GOOD.stock, "CUSTOM_CARD": SMALL})
    wish = a_wish(flavor=FLAVOR | {"extra_specs": {"resources:CUSTOM_CARD": "3"}})

    assert "without enough of the other resources asked for" in explain([host], wish).message


@pytest.mark.parametrize(
    ("properties", "fits"),
    [
        ({}, True), ({"hw_architecture": "x86_64"}, True), ({"architecture": "amd64"}, True), ({"hw_architecture": "i686"}, True),
        ({"hw_architecture": "aarch64"}, False), ({"img_hv_type": "qemu"}, True), ({"img_hv_type": "KVM"}, True),
        ({"hypervisor_type": "xen"}, False), ({"hw_vm_mode": "hvm"}, True), ({"vm_mode": "xen"}, False),
    ],
)  # fmt: skip
def test_an_image_goes_only_where_it_can_run(properties: dict[str, str], fits: bool) -> None:
    assert suits({"hypervisor_type": "KVM", "cpu_info": {"arch": "x86_64"}}, properties) is fits


def test_without_kvm_no_image_for_kvm_runs_and_what_a_host_does_not_tell_is_no_hindrance() -> None:
    assert not suits({"hypervisor_type": "QEMU"}, {"img_hv_type": "kvm"})
    assert suits({"hypervisor_type": "QEMU", "cpu_info": {}}, {"hw_architecture": "aarch64"})


def a_candidate(host: str, *, memory: float = 1, vcpus: float = 1, disk: float = 1) -> Candidate:
    return Candidate(uuid4(), host, "nova", 0, memory, vcpus, disk)


NONE = Weights(memory=0, vcpus=0, disk=0, io=0, group=0)
WEIGHERS: tuple[tuple[str, dict[str, Any], dict[str, int]], ...] = (
    ("memory", {"memory": 9}, {}), ("vcpus", {"vcpus": 9}, {}), ("disk", {"disk": 9}, {}), ("io", {}, {"best": 3}),
)  # fmt: skip


@pytest.mark.parametrize(("name", "more", "busy"), WEIGHERS)
def test_a_weight_puts_a_host_first_or_below_zero_last(name: str, more: dict[str, Any], busy: dict[str, int]) -> None:
    hosts = [a_candidate("plain"), a_candidate("best", **more), a_candidate("other")]

    first = best_first(hosts, weights=replace(NONE, **{name: 1.0}), busy=busy)
    last = best_first(hosts, weights=replace(NONE, **{name: -1.0}), busy=busy)

    assert (first[0].host, last[-1].host) == ("best", "best")


def test_busy_hosts_come_later_unless_told_otherwise() -> None:
    hosts = [a_candidate("busy"), a_candidate("idle")]

    assert best_first(hosts, busy={"busy": 4})[0].host == "idle"


def test_a_soft_policy_outweighs_all_room() -> None:
    hosts = [a_candidate("roomy", memory=99, vcpus=99, disk=99), a_candidate("friend")]
    company = Company(GroupPolicy.SOFT_AFFINITY, {"friend": 1})

    assert best_first(hosts, company)[0].host == "friend"
    assert best_first(hosts, company, weights=Weights(group=0))[0].host == "roomy"
