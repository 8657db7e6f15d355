"""Allocation candidates, through the API; the rules in all their branches are in tests/unit/compute/core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

from services.compute.core.allocation_candidates import Candidate, Search
from services.compute.core.placement_requests import question_of
from services.compute.db.placement_inventories import Inventories
from tests.harness.placement_api import Placement, holding, told

NUMA = "HW_NUMA_ROOT"


def test_a_candidate_is_what_an_allocation_takes(placement: Placement) -> None:
    own = placement.provider("a", VCPU=8, MEMORY_MB=4096, traits=("HW_CPU_X86_AVX",))

    found = placement.get("/allocation_candidates?resources=VCPU:2,MEMORY_MB:512&required=HW_CPU_X86_AVX")

    assert found["allocation_requests"] == [
        {"allocations": {own: {"resources": {"VCPU": 2, "MEMORY_MB": 512}}}, "mappings": {"": [own]}}
    ]
    assert found["provider_summaries"][own] == {
        "resources": {"VCPU": {"capacity": 8, "used": 0}, "MEMORY_MB": {"capacity": 4096, "used": 0}},
        "traits": ["HW_CPU_X86_AVX"],
        "parent_provider_uuid": None,
        "root_provider_uuid": own,
    }
    body = holding({}) | found["allocation_requests"][0]
    assert placement.ask("PUT", f"/allocations/{uuid4()}", body).status_code == 204


def test_older_versions_answer_less(placement: Placement) -> None:
    own = placement.provider("a", VCPU=8, MEMORY_MB=4096)
    path = "/allocation_candidates?resources=VCPU:2"

    at = {version: placement.get(path, at=version) for version in ("1.10", "1.12", "1.16", "1.26", "1.27", "1.33")}

    assert at["1.10"]["allocation_requests"] == [
        {"allocations": [{"resource_provider": {"uuid": own}, "resources": {"VCPU": 2}}]}
    ]
    assert at["1.12"]["allocation_requests"] == [{"allocations": {own: {"resources": {"VCPU": 2}}}}]
    assert at["1.16"]["provider_summaries"][own] == {"resources": {"VCPU": {"capacity": 8, "used": 0}}}
    assert set(at["1.26"]["provider_summaries"][own]["resources"]) == {"VCPU"}
    assert set(at["1.27"]["provider_summaries"][own]["resources"]) == {"VCPU", "MEMORY_MB"}
    assert "mappings" not in at["1.33"]["allocation_requests"][0]


def test_groups_traits_aggregates_and_trees_choose(placement: Placement) -> None:
    group = str(uuid4())
    root = placement.provider("root", MEMORY_MB=4096, aggregates=(group,))
    left = placement.provider("left", parent=root, VCPU=4, traits=(NUMA,))
    right = placement.provider("right", parent=root, VCPU=4, traits=(NUMA, "CUSTOM_FAST"))
    lone = placement.provider("lone", VCPU=8, MEMORY_MB=4096)

    assert placement.takers("resources=VCPU:1,MEMORY_MB:1") == sorted([{root, left}, {root, right}, {lone}], key=sorted)
    assert placement.takers("resources=VCPU:1,MEMORY_MB:1&required=CUSTOM_FAST") == [{root, right}]
    assert placement.takers("resources=VCPU:1,MEMORY_MB:1&required=!HW_NUMA_ROOT") == [{lone}]
    assert placement.takers(f"resources=VCPU:1&member_of={group}") == sorted([{left}, {right}], key=sorted)
    assert placement.takers(f"resources=VCPU:1&in_tree={left}") == sorted([{left}, {right}], key=sorted)
    both = "resources1=VCPU:3&resources2=VCPU:3&group_policy"
    assert placement.takers(f"{both}=isolate&in_tree1={root}") == [{left, right}, {left, right}]
    assert placement.takers(f"{both}=none") == sorted([{left, right}, {left, right}, {lone}], key=sorted)
    assert len(placement.takers("resources=VCPU:1&limit=2")) == 2
    assert placement.candidates("resources=VCPU:1,MEMORY_MB:1", at="1.28") == [{lone: {"VCPU": 1, "MEMORY_MB": 1}}]


PLAIN = (
    "resources=VCPU:1", "resources=VCPU:8,MEMORY_MB:4096", "resources=VCPU:9", "resources=VCPU:3", "resources=MEMORY_MB:64",
    "resources=VCPU:1&required=CUSTOM_FAST", "resources=VCPU:1&required=!CUSTOM_FAST", "resources=DISK_GB:1",
    "resources=VCPU:1&required=in:CUSTOM_FAST,HW_NUMA_ROOT", "resources=VCPU:1&required=CUSTOM_FAST,!HW_NUMA_ROOT",
    "resources=VCPU:1&root_required=CUSTOM_FAST", "resources=VCPU:1&root_required=!CUSTOM_FAST",
    "resources=VCPU:1&member_of={group}", "resources=VCPU:1&member_of=!{group}", "resources=VCPU:1&member_of=in:{group},{other}",
)  # fmt: skip


def test_a_limit_changes_how_hosts_are_found_and_not_which(placement: Placement) -> None:
    group, other = str(uuid4()), str(uuid4())
    placement.provider("plain", VCPU=8, MEMORY_MB=4096)
    placement.provider("fast", VCPU={"total": 8, "allocation_ratio": 1.2}, MEMORY_MB=8192, traits=("CUSTOM_FAST",))
    placement.provider("both", VCPU=4, MEMORY_MB=4096, traits=("CUSTOM_FAST", NUMA), aggregates=(group, other))
    placement.provider("steps", VCPU={"total": 8, "step_size": 2, "min_unit": 2}, traits=(NUMA,), aggregates=(other,))
    placement.provider("kept", VCPU={"total": 8, "reserved": 6, "max_unit": 1}, MEMORY_MB=128, aggregates=(group,))
    full = placement.provider("full", VCPU=4, MEMORY_MB=4096)
    assert placement.hold(full, VCPU=4).status_code == 204

    for query in (one.format(group=group, other=other) for one in PLAIN):
        every = placement.takers(query)
        assert placement.takers(f"{query}&limit=1000") == every, query
        assert len(placement.takers(f"{query}&limit=1")) == min(1, len(every)), query


RELATED = (
    *PLAIN, "resources=VCPU:1,DISK_GB:5", "resources=DISK_GB:5", "resources=VCPU:1,MEMORY_MB:1,DISK_GB:5&required=CUSTOM_FAST",
    "resources=VCPU:1&in_tree={left}", "resources=VCPU:1,DISK_GB:5&in_tree={left}", "resources=DISK_GB:5&in_tree={lender}",
    "resources=DISK_GB:500", "resources=VCPU:2&resources1=VCPU:2&group_policy=none",
    "resources1=VCPU:3&resources2=VCPU:3&group_policy=isolate", "resources=MEMORY_MB:1&resources1=DISK_GB:5",
    "resources1=VCPU:1&in_tree1={left}&resources2=DISK_GB:5&in_tree2={lender}&group_policy=none",
    "resources=VCPU:1&root_required=CUSTOM_FAST&resources1=DISK_GB:5", "resources=VCPU:3,MEMORY_MB:4096&member_of={group}",
    "resources=CUSTOM_CARD:1", "resources=CUSTOM_CARD:1,DISK_GB:5",
)  # fmt: skip


def test_trees_that_cannot_have_it_are_left_out_and_no_candidate_with_them(placement: Placement) -> None:
    group, other = str(uuid4()), str(uuid4())
    for name in ("a", "b", "c"):  # the first looks as if it fitted, until steps are counted
        root = placement.provider(f"root {name}", MEMORY_MB=4096, aggregates=(group,) if name != "c" else ())
        steps = {"total": 4, "step_size": 4 if name == "a" else 1}
        left = placement.provider(f"left {name}", parent=root, VCPU=steps, traits=(NUMA,))
        placement.provider(f"right {name}", parent=root, VCPU=4, traits=(NUMA, "CUSTOM_FAST"), aggregates=(other,))
    placement.provider("lone", VCPU=8, MEMORY_MB=8192, DISK_GB=10, traits=("CUSTOM_FAST",))
    assert placement.ask("PUT", "/resource_classes/CUSTOM_CARD").status_code == 201
    shares = ("MISC_SHARES_VIA_AGGREGATE",)
    lender = placement.provider("lender", DISK_GB=100, aggregates=(group,), traits=shares)
    placement.provider("of lender", parent=lender, CUSTOM_CARD=1)
    given = {"group": group, "other": other, "left": left, "lender": lender}

    for query in (one.format(**given) for one in RELATED):
        question = question_of(parse_qsl(query), 39)
        with placement.database.reading() as session:
            inventories = Inventories(session)
            every = alike(Search(inventories.everything(), question).candidates())
            assert alike(inventories.search(question)[1]) == every, query
            for limit in (1, 2, 3, 1000):
                found = alike(inventories.search(replace(question, limit=limit))[1])
                assert found <= every and len(found) == min(limit, len(every)), (query, limit)


def alike(candidates: Sequence[Candidate]) -> set[str]:
    return {
        str((sorted((who, sorted(one.items())) for who, one in each.amounts.items()), each.mappings))
        for each in candidates
    }


OWN = str(UUID(int=1))
SENSELESS = (
    ("", "1.39", "placement.query.missing_value"), ("resources=VCPU:0", "1.39", None), ("resources=NONE:1", "1.39", None),
    ("resources=VCPU:1&more=1", "1.39", None), ("resources=VCPU:1&limit=0", "1.39", None),
    ("resources=VCPU:1&required=NONE", "1.39", None), ("resources1=VCPU:1&resources2=VCPU:1", "1.39", None),
    ("resources=VCPU:1&group_policy=some", "1.39", None), ("resources=VCPU:1&required1=HW_NUMA_ROOT", "1.35", None),
    ("resources=VCPU:1&required1=HW_NUMA_ROOT", "1.39", "placement.query.bad_value"),
    ("resources1=VCPU:1&same_subtree=1,2", "1.39", "placement.query.bad_value"),
    ("resources1=VCPU:1&same_subtree=", "1.39", "placement.query.bad_value"),
    ("resources=VCPU:1&root_required=A&root_required=B", "1.39", "placement.query.duplicate_key"),
    ("resources=VCPU:1&root_required=HW_NUMA_ROOT,!HW_NUMA_ROOT", "1.39", "placement.query.bad_value"),
    ("resources=VCPU:1&required=HW_NUMA_ROOT,!HW_NUMA_ROOT", "1.39", None), ("resources_A=VCPU:1", "1.32", None),
    ("resources1=VCPU:1", "1.24", None), ("resources=VCPU:1&root_required=HW_NUMA_ROOT", "1.34", None),
    ("resources=VCPU:1&in_tree=x", "1.39", None), (f"resources=VCPU:1&in_tree={OWN}", "1.30", None),
)  # fmt: skip


def test_a_question_that_makes_no_sense_is_400(placement: Placement) -> None:
    for query, version, code in SENSELESS:
        answer = placement.ask("GET", f"/allocation_candidates?{query}", at=version)
        assert answer.status_code == 400, query
        assert told(answer).get("code", "placement.undefined_code") == (code or "placement.undefined_code"), query
