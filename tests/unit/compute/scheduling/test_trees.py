"""Servers take what belongs to a host: providers below it, and what others lend it; groups come from one provider each."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from services.compute.core.demands import needs_of
from services.compute.core.placement_names import SHARES
from services.compute.core.states import VmState
from services.compute.db.fitting_trees import FittingTrees
from services.compute.db.placement_tables import (
    AllocationRow,
    InventoryRow,
    ProviderAggregateRow,
    ProviderRow,
    ProviderTraitRow,
)
from services.compute.sagas import BOOT_SERVER, CONFIRM_RESIZE, DELETE_SERVER, RESIZE_SERVER, REVERT_RESIZE, BootServer
from services.compute.sagas.delete_server import DeleteServer
from services.compute.sagas.resize_server import ConfirmResize, ResizeServer, RevertResize
from tests.harness.compute import FLAVOR, ComputeWorld
from tests.unit.compute.sagas.conftest import tables as tables
from tests.unit.compute.sagas.conftest import world as world


def a_provider(
    world: ComputeWorld, name: str, *, under: str | None = None, traits: tuple[str, ...] = (), lends_to: str | None = None,
    **stocks: int,
) -> None:  # fmt: skip
    with world.database.transaction() as session:
        parent = session.scalar(select(ProviderRow).where(ProviderRow.name == under)) if under else None
        row = ProviderRow(id=uuid4(), name=name, created_at=world.clock.now(), parent_id=parent.id if parent else None)
        if parent is not None:
            row.root_id = parent.root_id
        session.add(row)
        session.flush()
        for resource, total in stocks.items():
            session.add(InventoryRow(provider_id=row.id, resource_class=resource, total=total, max_unit=total))
        names = (*traits, *([SHARES] if lends_to else []))
        session.add_all([ProviderTraitRow(provider_id=row.id, trait=trait) for trait in names])
        if lends_to:
            borrower = session.scalars(select(ProviderRow.id).where(ProviderRow.name == lends_to)).one()
            pairs = [{"provider_id": one, "aggregate_id": UUID(int=7)} for one in (row.id, borrower)]
            session.execute(insert(ProviderAggregateRow), pairs)


def a_flavor(**specs: str) -> dict[str, Any]:
    """`resources1__VGPU` is the extra spec `resources1:VGPU`."""
    return dict(FLAVOR) | {"extra_specs": {name.replace("__", ":"): value for name, value in specs.items()}}


def boot(world: ComputeWorld, flavor: dict[str, Any]) -> Any:
    return world.do(BOOT_SERVER, BootServer(server_id=world.a_server(flavor=flavor)))


def held(world: ComputeWorld, server_id: UUID) -> dict[str, dict[str, int]]:
    query = select(ProviderRow.name, AllocationRow.resource_class, AllocationRow.used).join(
        ProviderRow, ProviderRow.id == AllocationRow.provider_id
    )
    found: dict[str, dict[str, int]] = {}
    with world.database.reading() as session:
        for name, resource, used in session.execute(query.where(AllocationRow.consumer_id == server_id)):
            found.setdefault(name, {})[resource] = used
    return found


def used(world: ComputeWorld, name: str, resource: str) -> int:
    query = select(InventoryRow.used).join(ProviderRow, ProviderRow.id == InventoryRow.provider_id)
    with world.database.reading() as session:
        return session.scalars(query.where(ProviderRow.name == name, InventoryRow.resource_class == resource)).one()


PLAIN = needs_of(FLAVOR, {})


def test_a_group_comes_from_one_provider_with_its_traits(world: ComputeWorld) -> None:
    a_provider(world, "dull", under="sim-2", VGPU=2)
    a_provider(world, "card", under="sim-2", traits=("CUSTOM_FAST",), VGPU=2)
    a_provider(world, "half", under="sim-3", traits=("CUSTOM_FAST",), VGPU=1)

    server = boot(world, a_flavor(resources_G__VGPU="2", trait_G__CUSTOM_FAST="required"))

    assert (server.vm_state, server.host) == (VmState.ACTIVE, "sim-2")
    assert held(world, server.id) == {"sim-2": PLAIN, "card": {"VGPU": 2}}


def test_isolated_groups_come_from_different_providers(world: ComputeWorld) -> None:
    for name in ("left", "right"):
        a_provider(world, name, under="sim-1", CUSTOM_LANE=4)
    groups = {"resources1__CUSTOM_LANE": "1", "resources2__CUSTOM_LANE": "1"}

    apart = boot(world, a_flavor(**groups, group_policy="isolate"))
    together = boot(world, a_flavor(**groups, resources3__CUSTOM_LANE="1", group_policy="none"))
    refused = boot(world, a_flavor(**groups, resources3__CUSTOM_LANE="1", group_policy="isolate"))

    assert {name: of_one for name, of_one in held(world, apart.id).items() if name != "sim-1"} == {
        "left": {"CUSTOM_LANE": 1}, "right": {"CUSTOM_LANE": 1}
    }  # fmt: skip
    assert together.vm_state == VmState.ACTIVE
    assert "GroupsFilter removed 3" in str(refused.fault)


def test_what_a_group_asks_for_is_not_asked_for_twice(world: ComputeWorld) -> None:
    a_provider(world, "numa0", under="sim-1", VCPU=4, MEMORY_MB=2048)

    server = boot(
        world, a_flavor(resources_N__VCPU="1", resources_N__MEMORY_MB="512", trait__CUSTOM_PILEUS_SIMULATED="required")
    )

    assert sum(of_one.get("VCPU", 0) for of_one in held(world, server.id).values()) == 1
    assert server.vm_state == VmState.ACTIVE


def test_a_lender_serves_the_hosts_of_its_aggregate(world: ComputeWorld) -> None:
    a_provider(world, "store", lends_to="sim-3", DISK_GB=9_000)

    large = dict(FLAVOR) | {"root_gib": 2_000}
    disk_gib = needs_of(large, {})["DISK_GB"]
    server = boot(world, large)
    refused = boot(world, dict(FLAVOR) | {"root_gib": 8_000})

    assert server.host == "sim-3"
    assert held(world, server.id) == {"sim-3": {"VCPU": 1, "MEMORY_MB": 512}, "store": {"DISK_GB": disk_gib}}
    assert refused.vm_state == VmState.ERROR and "DISK_GBFilter removed 3" in str(refused.fault)


def test_plain_servers_take_all_from_their_host_where_they_can(world: ComputeWorld) -> None:
    a_provider(world, "store", lends_to="sim-3", DISK_GB=9_000)
    a_provider(world, "numa0", under="sim-1", VCPU=4, MEMORY_MB=2048)

    servers = [boot(world, dict(FLAVOR)) for _ in range(4)]

    assert all(held(world, one.id) == {one.host: PLAIN} for one in servers)


def test_a_host_does_not_take_from_another_one_in_its_rack(world: ComputeWorld) -> None:
    a_provider(world, "rack", CUSTOM_POWER=2)
    with world.database.transaction() as session:
        rack = session.scalars(select(ProviderRow).where(ProviderRow.name == "rack")).one()
        for row in session.scalars(select(ProviderRow).where(ProviderRow.name.in_(["sim-1", "sim-2"]))):
            row.parent_id, row.root_id = rack.id, rack.id
    a_provider(world, "card", under="sim-2", VGPU=1)

    server = boot(world, a_flavor(resources1__VGPU="1", resources__CUSTOM_POWER="2"))

    assert (server.vm_state, server.host) == (VmState.ACTIVE, "sim-2")
    assert set(held(world, server.id)) == {"sim-2", "card", "rack"}


def test_a_server_takes_its_groups_along_when_it_is_resized_and_gives_all_back(world: ComputeWorld) -> None:
    a_provider(world, "card", under="sim-2", VGPU=4)
    small, large = a_flavor(resources1__VGPU="1"), a_flavor(resources1__VGPU="3") | {"id": "2", "memory_mib": 1024}
    server = boot(world, small)

    world.do(RESIZE_SERVER, ResizeServer(server_id=server.id, flavor=large))
    meanwhile = held(world, server.id)
    world.do(REVERT_RESIZE, RevertResize(server_id=server.id))
    back = held(world, server.id)
    world.do(RESIZE_SERVER, ResizeServer(server_id=server.id, flavor=large))
    world.do(CONFIRM_RESIZE, ConfirmResize(server_id=server.id))
    after = held(world, server.id)
    world.do(DELETE_SERVER, DeleteServer(server_id=server.id))

    assert meanwhile == after == {"sim-2": PLAIN | {"MEMORY_MB": 1024}, "card": {"VGPU": 3}}
    assert back == {"sim-2": PLAIN, "card": {"VGPU": 1}}
    assert used(world, "card", "VGPU") == 0 and used(world, "sim-2", "MEMORY_MB") == 0


def test_a_resize_that_its_host_s_providers_can_not_hold_is_refused(world: ComputeWorld) -> None:
    a_provider(world, "card", under="sim-2", VGPU=2)
    server = boot(world, a_flavor(resources1__VGPU="1"))

    world.do(RESIZE_SERVER, ResizeServer(server_id=server.id, flavor=a_flavor(resources1__VGPU="3") | {"id": "2"}))

    assert held(world, server.id) == {"sim-2": PLAIN, "card": {"VGPU": 1}}
    assert world.server(server.id).vm_state == VmState.ACTIVE


def test_many_who_race_for_a_card_get_no_more_than_it_has(world: ComputeWorld) -> None:
    a_provider(world, "card", under="sim-2", VGPU=3)
    servers = [world.a_server(flavor=a_flavor(resources1__VGPU="1")) for _ in range(8)]

    for server_id in servers:
        world.begin(BOOT_SERVER, BootServer(server_id=server_id))
    world.engine.run_due()

    states = sorted(world.server(server_id).vm_state for server_id in servers)
    assert states == [VmState.ACTIVE] * 3 + [VmState.ERROR] * 5
    assert used(world, "card", "VGPU") == 3


@pytest.mark.parametrize("specs", [{"trait1__CUSTOM_FAST": "required"}, {"trait1__CUSTOM_SLOW": "forbidden"}])
def test_a_group_of_traits_alone_asks_for_a_provider_that_has_them(world: ComputeWorld, specs: dict[str, str]) -> None:
    a_provider(world, "card", under="sim-2", traits=("CUSTOM_FAST",))

    server = boot(world, a_flavor(**specs))

    assert server.vm_state == VmState.ACTIVE
    assert server.host == "sim-2" or "trait1__CUSTOM_SLOW" in specs


def test_trees_are_not_searched_for_what_only_hosts_themselves_have(world: ComputeWorld) -> None:
    a_provider(world, "gpus", under="sim-1", VGPU=2)
    a_provider(world, "store", lends_to="sim-2", DISK_GB=100)
    a_provider(world, "stray", MEMORY_MB=1 << 20)

    with world.database.reading() as session:
        trees = FittingTrees(session)

        assert not trees.help_with({"VCPU", "MEMORY_MB"})
        assert trees.help_with({"VCPU", "VGPU"}) and trees.help_with({"DISK_GB"})


def test_what_stands_above_a_host_may_help_it(world: ComputeWorld) -> None:
    a_provider(world, "rack", MEMORY_MB=1 << 20)
    with world.database.transaction() as session:
        rack = select(ProviderRow.id).where(ProviderRow.name == "rack").scalar_subquery()
        session.execute(update(ProviderRow).where(ProviderRow.name == "sim-1").values(parent_id=rack, root_id=rack))

    with world.database.reading() as session:
        assert FittingTrees(session).help_with({"MEMORY_MB"})
        assert not FittingTrees(session).help_with({"PCPU"})
