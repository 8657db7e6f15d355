"""What placement promises; held on SQLite by the unit tests and on PostgreSQL by the contract tests."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from common.clock import utc_now
from common.db.database import Database
from common.errors import StaleGeneration
from services.compute.core.filters import passing
from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios, ResourceClass
from services.compute.core.scheduling import Candidate, Wish
from services.compute.db.hosts import Hosts
from services.compute.db.placement import Placement
from services.compute.db.placement_tables import AllocationRow, InventoryRow, ProviderRow, ProviderTraitRow
from services.compute.db.tables import ServiceRow

NOW = utc_now()
SEEN_AFTER = NOW - timedelta(seconds=60)


def some_facts(
    host: str, *, vcpus: int = 8, memory_mib: int = 8192, disk_gib: int = 100, traits: Sequence[str] = ()
) -> HostFacts:
    return HostFacts(
        host=host, address="127.0.0.1", hypervisor_type="simulated", hypervisor_version=1, vcpus=vcpus,
        memory_mib=memory_mib, disk_gib=disk_gib, traits=tuple(traits), memory_reserved_mib=0,
    )  # fmt: skip


def register(database: Database, facts: HostFacts, *, zone: str = "nova") -> UUID:
    with database.transaction() as session:
        return Hosts(session).register(facts, zone=zone, ratios=Ratios(cpu=1.0), at=NOW)


def a_wish(*, vcpus: int = 1, memory_mib: int = 1024, disk_gib: int = 1, **more: object) -> Wish:
    resources = {ResourceClass.VCPU: vcpus, ResourceClass.MEMORY_MB: memory_mib, ResourceClass.DISK_GB: disk_gib}
    return Wish(resources={name: amount for name, amount in resources.items() if amount}, **more)  # type: ignore[arg-type]


def candidates(database: Database, wish: Wish, *, most: int = 1000) -> list[Candidate]:
    with database.reading() as session:
        return Placement(session).candidates(wish, seen_after=SEEN_AFTER, start=uuid4(), most=most)


def claim(database: Database, wish: Wish, candidate: Candidate, consumer_id: UUID | None = None) -> None:
    with database.transaction() as session:
        Placement(session).claim(
            candidate, wish, consumer_id=consumer_id or uuid4(), project_id="p", user_id="u", at=NOW
        )


def used(database: Database) -> dict[tuple[str, str], int]:
    with database.reading() as session:
        query = select(ProviderRow.name, InventoryRow.resource_class, InventoryRow.used).join(
            InventoryRow, InventoryRow.provider_id == ProviderRow.id
        )
        return {(name, resource): amount for name, resource, amount in session.execute(query)}


class PlacementContract:
    """Subclasses give the fixture `database`."""

    def test_a_claim_is_held_and_given_back_once(self, database: Database) -> None:
        register(database, some_facts("a"))
        wish, server_id = a_wish(vcpus=2, memory_mib=2048, disk_gib=10), uuid4()

        claim(database, wish, candidates(database, wish)[0], server_id)
        held = used(database)
        for _ in range(2):
            with database.transaction() as session:
                Placement(session).release(server_id)

        assert held == {("a", "VCPU"): 2, ("a", "MEMORY_MB"): 2048, ("a", "DISK_GB"): 10}
        assert set(used(database).values()) == {0}

    def test_disk_that_cached_images_take_is_no_servers(self, database: Database) -> None:
        facts = some_facts("a", disk_gib=100)
        register(database, facts)
        assert candidates(database, a_wish(disk_gib=95))

        register(database, facts.model_copy(update={"disk_reserved_gib": 10}))

        assert not candidates(database, a_wish(disk_gib=95))
        assert candidates(database, a_wish(disk_gib=90))

    def test_who_has_not_seen_the_newest_generation_gets_nothing(self, database: Database) -> None:
        register(database, some_facts("a"))
        wish = a_wish()
        [seen_before] = candidates(database, wish)
        claim(database, wish, seen_before)

        with pytest.raises(StaleGeneration):
            claim(database, wish, seen_before)

        assert used(database)["a", "VCPU"] == 1

    def test_a_hundred_racing_for_ten_places_get_ten(self, database: Database) -> None:
        for host in ("a", "b"):
            register(database, some_facts(host, vcpus=100, memory_mib=5 * 1024))
        wish, won, start = a_wish(), list[UUID](), threading.Barrier(100)

        def race() -> None:
            server_id = uuid4()
            start.wait()
            while found := candidates(database, wish):
                for candidate in found:
                    try:
                        claim(database, wish, candidate, server_id)
                    except StaleGeneration:
                        continue
                    won.append(server_id)
                    return

        threads = [threading.Thread(target=race) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(won) == 10
        assert used(database)["a", "MEMORY_MB"] == used(database)["b", "MEMORY_MB"] == 5 * 1024
        with database.reading() as session:
            assert set(session.scalars(select(AllocationRow.consumer_id))) == set(won)

    def test_a_ratio_lets_more_be_claimed_and_a_reserve_less(self, database: Database) -> None:
        register(database, some_facts("a", vcpus=4, memory_mib=4096))
        with database.transaction() as session:
            session.execute(
                update(InventoryRow).where(InventoryRow.resource_class == "VCPU").values(allocation_ratio=1.5)
            )
            session.execute(
                update(InventoryRow).where(InventoryRow.resource_class == "MEMORY_MB").values(reserved=1024)
            )

        first = a_wish(vcpus=4, memory_mib=1)
        claim(database, first, candidates(database, first)[0])

        assert len(candidates(database, a_wish(vcpus=2, memory_mib=3071))) == 1
        assert candidates(database, a_wish(vcpus=3, memory_mib=1)) == []
        assert candidates(database, a_wish(vcpus=1, memory_mib=3072)) == []

    def test_no_server_gets_more_than_the_host_has_whatever_the_ratio(self, database: Database) -> None:
        register(database, some_facts("a", vcpus=4))
        with database.transaction() as session:
            session.execute(update(InventoryRow).values(allocation_ratio=16.0))

        assert candidates(database, a_wish(vcpus=5)) == []

    def test_registering_again_keeps_claims_ratios_and_the_id(self, database: Database) -> None:
        first = register(database, some_facts("a"))
        wish = a_wish(vcpus=3)
        claim(database, wish, candidates(database, wish)[0])
        with database.transaction() as session:
            session.execute(
                update(InventoryRow).where(InventoryRow.resource_class == "VCPU").values(allocation_ratio=2.0)
            )

        again = register(database, some_facts("a", vcpus=10))

        assert again == first
        with database.reading() as session:
            row = session.get(InventoryRow, (first, "VCPU"))
            assert row is not None and (row.total, row.used, row.allocation_ratio) == (10, 3, 2.0)

    def test_processors_that_a_host_does_not_keep_any_more_are_kept_by_who_has_them(self, database: Database) -> None:
        for host in ("a", "b"):
            register(database, some_facts(host).model_copy(update={"vcpus": 4, "pcpus": 4}))
        wish = replace(a_wish(), resources={"PCPU": 3})
        chosen = next(one for one in candidates(database, wish) if one.host == "a")
        claim(database, wish, chosen)

        for host in ("a", "b"):
            register(database, some_facts(host))

        assert candidates(database, replace(a_wish(), resources={"PCPU": 1})) == []
        assert {key: amount for key, amount in used(database).items() if key[1] == "PCPU"} == {("a", "PCPU"): 3}

    def test_traits_of_the_agent_come_and_go_and_those_of_an_operator_stay(self, database: Database) -> None:
        provider_id = register(database, some_facts("a", traits=["HW_CPU_X86_AVX", "HW_CPU_X86_VMX"]))
        with database.transaction() as session:
            session.add(ProviderTraitRow(provider_id=provider_id, trait="CUSTOM_FAST"))

        register(database, some_facts("a", traits=["HW_CPU_X86_AVX"]))

        assert len(candidates(database, a_wish(required_traits=frozenset({"HW_CPU_X86_AVX", "CUSTOM_FAST"})))) == 1
        assert candidates(database, a_wish(required_traits=frozenset({"HW_CPU_X86_VMX"}))) == []

    def test_few_candidates_are_drawn_from_anywhere(self, database: Database) -> None:
        for number in range(30):
            register(database, some_facts(f"host-{number}"))

        drawn = {one.host for _ in range(40) for one in candidates(database, a_wish(), most=3)}

        assert len(drawn) > 15

    @pytest.mark.parametrize("seed", range(6))
    def test_sql_and_the_filters_that_explain_agree(self, database: Database, seed: int) -> None:
        chance = random.Random(seed)
        for number in range(25):
            a_random_host(database, chance, f"host-{number}")

        for _ in range(20):
            wish = a_random_wish(chance)
            with database.reading() as session:
                views = Placement(session).views(wish, seen_after=SEEN_AFTER)
            assert {one.host for one in candidates(database, wish)} == {one.name for one in passing(views, wish)}


def a_random_host(database: Database, chance: random.Random, name: str) -> None:
    traits = [trait for trait in ("CUSTOM_A", "CUSTOM_B") if chance.random() < 0.4]
    sizes = {
        "vcpus": chance.choice([1, 4, 16]),
        "memory_mib": chance.choice([512, 4096]),
        "disk_gib": chance.choice([5, 50]),
    }
    provider_id = register(database, some_facts(name, traits=traits, **sizes), zone=chance.choice(["nova", "east"]))
    with database.transaction() as session:
        changes = {
            "is_disabled": chance.random() < 0.1,
            "is_forced_down": chance.random() < 0.1,
            "seen_at": NOW - timedelta(seconds=120 if chance.random() < 0.1 else 0),
        }
        session.execute(update(ServiceRow).where(ServiceRow.host == name).values(**changes))
        taken = {"used": chance.choice([0, 1, 4]), "allocation_ratio": chance.choice([0.5, 1.0, 1.5])}
        taken |= {"min_unit": chance.choice([1, 1, 1, 2]), "step_size": chance.choice([1, 1, 1, 2])}
        session.execute(update(InventoryRow).where(InventoryRow.provider_id == provider_id).values(**taken))
        if chance.random() < 0.5:
            card = {"resource_class": "CUSTOM_CARD", "total": 2, "max_unit": 2, "provider_id": provider_id}
            session.execute(insert(InventoryRow), [card])


def a_random_wish(chance: random.Random) -> Wish:
    some_hosts = frozenset(f"host-{chance.randrange(25)}" for _ in range(8))
    plain = a_wish(
        vcpus=chance.choice([0, 1, 2, 4]),
        memory_mib=chance.choice([0, 128, 1024]),
        disk_gib=chance.choice([0, 1, 5, 10]),
        zone=chance.choice([None, None, "nova", "west"]),
        host=chance.choice([None] * 5 + ["host-3"]),
        required_traits=frozenset({"CUSTOM_A"}) if chance.random() < 0.2 else frozenset(),
        forbidden_traits=frozenset({"CUSTOM_B"}) if chance.random() < 0.2 else frozenset(),
        failed_hosts=some_hosts if chance.random() < 0.3 else frozenset(),
        beside=some_hosts if chance.random() < 0.2 else None,
        apart=some_hosts if chance.random() < 0.2 else frozenset(),
        for_properties=some_hosts if chance.random() < 0.1 else None,
    )
    return replace(plain, resources={**plain.resources, "CUSTOM_CARD": 2}) if chance.random() < 0.2 else plain
