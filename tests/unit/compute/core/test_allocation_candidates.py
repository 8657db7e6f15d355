"""Who could give what is asked for: trees, lenders, groups, subtrees."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid5

from services.compute.core.allocation_candidates import Candidate, Group, Provider, Question, Search
from services.compute.core.placement import Stock
from services.compute.core.placement_names import SHARES
from services.compute.core.placement_requests import question_of

A, B = (UUID(int=number) for number in (1, 2))  # aggregates


def named(name: str) -> UUID:
    return uuid5(A, name)


def a_provider(
    name: str,
    *,
    under: str = "",
    root: str = "",
    traits: Iterable[str] = (),
    groups: Iterable[UUID] = (),
    **stocks: int,
) -> Provider:
    return Provider(
        id=named(name),
        root_id=named(root or under or name),
        parent_id=named(under) if under else None,
        stocks={resource: Stock(total, 0, 1.0, 0, total) for resource, total in stocks.items()},
        traits=frozenset(traits),
        aggregates=frozenset(groups),
    )


def asked(query: str, version: int = 39) -> Question:
    return question_of([tuple(part.split("=", 1)) for part in query.split("&")], version)  # type: ignore[misc]


def takers(providers: Iterable[Provider], query: str) -> set[frozenset[str]]:
    """Names of whom each candidate takes from."""
    known = list(providers)
    return {frozenset(one) for one in (name_all(known, found) for found in Search(known, asked(query)).candidates())}


def name_all(providers: Iterable[Provider], found: Candidate) -> set[str]:
    names = {named(name): name for name in NAMES}
    return {names[one] for one in found.amounts}


NAMES = ("host", "other", "left", "right", "card", "port", "store", "far", "top", "lone")


def test_a_lender_serves_every_tree_of_its_aggregate_and_no_other() -> None:
    store = a_provider("store", DISK_GB=100, traits=[SHARES], groups=[A])
    providers = [
        a_provider("host", VCPU=4, groups=[A]),
        a_provider("other", VCPU=4, DISK_GB=10, groups=[A]),
        a_provider("lone", VCPU=4),
        store,
    ]

    assert takers(providers, "resources=VCPU:1,DISK_GB:5") == {
        frozenset(("host", "store")), frozenset(("other", "store")), frozenset(("other",))
    }  # fmt: skip
    assert takers(providers, "resources=VCPU:1,DISK_GB:50") == {
        frozenset(("host", "store")), frozenset(("other", "store"))
    }  # fmt: skip
    assert takers(providers, f"resources=VCPU:1,DISK_GB:5&in_tree={named('host')}") == set()
    assert takers(providers, f"resources=VCPU:1&resources_D=DISK_GB:5&required_D={SHARES}") == {
        frozenset(("host", "store")), frozenset(("other", "store"))
    }  # fmt: skip


def test_an_aggregate_of_a_root_spans_its_tree_for_the_plain_group_alone() -> None:
    providers = [a_provider("host", MEMORY_MB=64, groups=[A]), a_provider("left", under="host", VCPU=4)]

    assert takers(providers, f"resources=VCPU:1&member_of={A}") == {frozenset(("left",))}
    assert takers(providers, f"resources1=VCPU:1&member_of1={A}") == set()
    assert takers(providers, f"resources=VCPU:1&member_of=!{A}") == set()
    assert takers(providers, f"resources1=VCPU:1&member_of1=!{A}") == {frozenset(("left",))}


def test_the_plain_group_s_traits_are_found_together_and_none_of_its_providers_has_a_forbidden_one() -> None:
    providers = [
        a_provider("host", MEMORY_MB=64, traits=["HW_NIC_ROOT"]),
        a_provider("left", under="host", VCPU=4, traits=["HW_NUMA_ROOT"]),
        a_provider("right", under="host", VCPU=4),
    ]

    both = "resources=VCPU:1,MEMORY_MB:1&required="
    assert takers(providers, f"{both}HW_NUMA_ROOT,HW_NIC_ROOT") == {frozenset(("host", "left"))}
    assert takers(providers, f"{both}!HW_NUMA_ROOT") == {frozenset(("host", "right"))}
    assert takers(providers, f"{both}in:HW_NUMA_ROOT,HW_CPU_X86_AVX") == {frozenset(("host", "left"))}


def test_groups_may_share_a_provider_unless_they_are_isolated_and_never_take_more_than_it_has() -> None:
    providers = [
        a_provider("host"), a_provider("left", under="host", VCPU=4), a_provider("right", under="host", VCPU=2)
    ]  # fmt: skip

    def two(amount: int, policy: str) -> set[frozenset[str]]:
        return takers(providers, f"resources1=VCPU:{amount}&resources2=VCPU:{amount}&group_policy={policy}")

    assert two(2, "none") == {frozenset(("left",)), frozenset(("left", "right"))}
    assert two(2, "isolate") == {frozenset(("left", "right"))}
    assert two(3, "none") == set()


def test_a_subtree_holds_groups_together_even_one_that_asks_for_nothing() -> None:
    providers = [
        a_provider("top"),
        a_provider("left", under="top", VCPU=4, traits=["HW_NUMA_ROOT"]),
        a_provider("card", under="left", root="top", FPGA=1),
        a_provider("right", under="top", VCPU=4, traits=["HW_NUMA_ROOT"]),
        a_provider("far", under="right", root="top", VGPU=1),
    ]
    pair = "resources_C=VCPU:1&resources_A=FPGA:1&group_policy=none"

    assert takers(providers, pair) == {frozenset(("left", "card")), frozenset(("right", "card"))}
    assert takers(providers, f"{pair}&same_subtree=_C,_A") == {frozenset(("left", "card"))}
    rooted = "required_N=HW_NUMA_ROOT&resources_A=FPGA:1&resources_G=VGPU:1&group_policy=none"
    assert takers(providers, f"{rooted}&same_subtree=_N,_A") == {frozenset(("card", "far"))}
    assert takers(providers, f"{rooted}&same_subtree=_N,_A,_G") == set()


def test_a_root_may_be_asked_for_traits_of_its_own() -> None:
    providers = [
        a_provider("host", traits=["COMPUTE_NODE"]), a_provider("left", under="host", VCPU=4),
        a_provider("other", VCPU=4, traits=["HW_NIC_ROOT"]),
    ]  # fmt: skip

    assert takers(providers, "resources=VCPU:1&root_required=COMPUTE_NODE") == {frozenset(("left",))}
    assert takers(providers, "resources=VCPU:1&root_required=!COMPUTE_NODE") == {frozenset(("other",))}


def test_a_question_with_countless_answers_ends_in_time() -> None:
    providers = [a_provider("host"), *(a_provider(f"n{number}", under="host", VCPU=4) for number in range(60))]
    groups = {str(number): Group(resources={"VCPU": 1}) for number in range(12)}

    found = Search(providers, Question(groups=groups)).candidates()

    assert 0 < len(found) <= 10_000
