"""Server groups and aggregates decide where servers go, and refusals name them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from services.compute.core.aggregates import HostGroup, for_flavor, kept_from_image, kept_from_project, matches
from services.compute.core.states import VmState
from services.compute.db.aggregates import Aggregates
from services.compute.db.server_groups import ServerGroups
from services.compute.db.tables import AggregateHostRow
from services.compute.sagas import BOOT_SERVER, BootServer
from tests.harness.compute import FLAVOR, ComputeWorld
from tests.unit.compute.sagas.conftest import tables as tables
from tests.unit.compute.sagas.conftest import world as world


def a_group(world: ComputeWorld, policy: str, **rules: int) -> UUID:
    group_id = uuid4()
    with world.database.transaction() as session:
        ServerGroups(session).add(
            {
                "id": group_id, "project_id": "p", "user_id": "u", "name": "g", "policy": policy, "rules": rules,
                "created_at": world.clock.now(),
            }
        )  # fmt: skip
    return group_id


def boot_in(world: ComputeWorld, group_id: UUID) -> Any:
    server_id = world.a_server()
    with world.database.transaction() as session:
        ServerGroups(session).join(group_id, [server_id])
    return world.do(BOOT_SERVER, BootServer(server_id=server_id))


def an_aggregate(world: ComputeWorld, *hosts: str, **attributes: str) -> None:
    with world.database.transaction() as session:
        number = Aggregates(session).add(
            {"id": uuid4(), "name": str(uuid4()), "attributes": attributes, "created_at": world.clock.now()}
        )
        session.execute(insert(AggregateHostRow), [{"aggregate": number, "host": host} for host in hosts])


def test_servers_of_an_anti_affinity_group_are_on_hosts_of_their_own(world: ComputeWorld) -> None:
    group_id = a_group(world, "anti-affinity")

    booted = [boot_in(world, group_id) for _ in range(3)]
    refused = boot_in(world, group_id)

    assert {one.host for one in booted} == set(world.host_names)
    assert refused.vm_state == VmState.ERROR
    assert "ServerGroupAntiAffinityFilter removed 3" in str(refused.fault)


def test_a_rule_lets_more_servers_of_an_anti_affinity_group_share_a_host(world: ComputeWorld) -> None:
    group_id = a_group(world, "anti-affinity", max_server_per_host=2)

    hosts = [boot_in(world, group_id).host for _ in range(6)]

    assert sorted(hosts) == sorted([*world.host_names, *world.host_names])


def test_servers_of_an_affinity_group_share_a_host(world: ComputeWorld) -> None:
    group_id = a_group(world, "affinity")

    assert len({boot_in(world, group_id).host for _ in range(5)}) == 1


def test_an_affinity_group_whose_host_is_full_takes_no_more(world: ComputeWorld) -> None:
    group_id, half = a_group(world, "affinity"), dict(FLAVOR) | {"memory_mib": 9000}
    servers = [world.a_server(flavor=half) for _ in range(2)]
    with world.database.transaction() as session:
        ServerGroups(session).join(group_id, servers)

    first, second = (world.do(BOOT_SERVER, BootServer(server_id=one)) for one in servers)

    assert (first.vm_state, second.vm_state) == (VmState.ACTIVE, VmState.ERROR)
    assert "ServerGroupAffinityFilter" in str(second.fault)


def test_a_soft_policy_is_heeded_as_far_as_it_can_be(world: ComputeWorld) -> None:
    apart, together = a_group(world, "soft-anti-affinity"), a_group(world, "soft-affinity")

    spread = [boot_in(world, apart).host for _ in range(6)]
    close = {boot_in(world, together).host for _ in range(4)}

    assert sorted(spread) == sorted([*world.host_names, *world.host_names])
    assert len(close) == 1


def test_a_soft_affinity_group_whose_host_is_full_goes_on_elsewhere(world: ComputeWorld) -> None:
    group_id, half = a_group(world, "soft-affinity"), dict(FLAVOR) | {"memory_mib": 9000}
    servers = [world.a_server(flavor=half) for _ in range(2)]
    with world.database.transaction() as session:
        ServerGroups(session).join(group_id, servers)

    assert {world.do(BOOT_SERVER, BootServer(server_id=one)).vm_state for one in servers} == {VmState.ACTIVE}


def test_a_flavor_that_asks_for_an_aggregate_gets_it(world: ComputeWorld) -> None:
    an_aggregate(world, "sim-2", ssd="true")
    spec = "aggregate_instance_extra_specs:ssd"

    found = world.a_booted_server(flavor=dict(FLAVOR) | {"extra_specs": {spec: "true"}})
    none = world.a_server(flavor=dict(FLAVOR) | {"extra_specs": {spec: "maybe"}})
    refused = world.do(BOOT_SERVER, BootServer(server_id=none))

    assert world.server(found).host == "sim-2"
    assert "AggregateInstanceExtraSpecsFilter removed 3" in str(refused.fault)


def test_hosts_kept_for_a_project_take_no_one_elses_servers(world: ComputeWorld) -> None:
    an_aggregate(world, "sim-1", "sim-2", filter_tenant_id="other, another", filter_tenant_id2="third")

    assert {world.server(world.a_booted_server()).host for _ in range(4)} == {"sim-3"}


def test_hosts_kept_for_an_image_property_take_no_other_value(world: ComputeWorld) -> None:
    an_aggregate(world, "sim-1", "sim-3", os_distro="windows")
    image = {"sha512": "", "size_bytes": 0, "disk_format": "raw"}
    image |= world.server(world.a_server()).image | {"properties": {"os_distro": "debian"}}

    assert {world.server(world.a_booted_server(image=image)).host for _ in range(3)} == {"sim-2"}


@pytest.mark.parametrize(
    ("value", "wanted", "fits"),
    [
        ("true", "true", True), ("true", "false", False), ("8", ">= 4", True), ("8", "<= 4", False), ("8", "= 8", True),
        ("8", "== 08", True), ("x", ">= 4", False), ("b", "s== b", True), ("b", "s!= b", False), ("b", "s> a", True),
        ("gcc-12", "<in> gcc", True), ("mmx sse", "<all-in> mmx <all-in> avx", False), ("a", "<or> b <or> a", True),
    ],
)  # fmt: skip
def test_extra_specs_compare_as_they_say(value: str, wanted: str, fits: bool) -> None:
    assert matches(value, wanted) is fits


def test_a_host_has_what_all_its_aggregates_have() -> None:
    groups = [HostGroup(frozenset({"a", "b"}), {"x": "1"}), HostGroup(frozenset({"b"}), {"y": "2, 3"})]
    scope = "aggregate_instance_extra_specs:"

    assert for_flavor(groups, {f"{scope}x": "1", f"{scope}y": "3"}) == frozenset({"b"})
    assert for_flavor(groups, {"hw:cpu_policy": "dedicated"}) is None
    assert kept_from_project(groups, "p") == frozenset()
    assert kept_from_image(groups, {"y": "4", "z": "5"}) == frozenset({"b"})


def test_nothing_is_looked_for_when_no_aggregate_says_anything(world: ComputeWorld) -> None:
    an_aggregate(world, "sim-1", availability_zone="east")

    with world.database.reading() as session:
        assert Aggregates(session).groups() == []
