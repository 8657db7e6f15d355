"""Providers, what they have, and what is said of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.harness.placement_api import URL, Placement, told

CONCURRENT = "placement.concurrent_update"
SOME, OTHER = (str(UUID(int=number)) for number in (1, 2))


def test_the_version_document_needs_no_token_and_its_link_is_empty(placement: Placement) -> None:
    found = placement.http.get("/").json()["versions"]

    assert found == [
        {"id": "v1.0", "min_version": "1.0", "max_version": "1.39", "status": "CURRENT",
         "links": [{"rel": "self", "href": ""}]}
    ]  # fmt: skip


def test_an_unknown_version_is_406_and_says_which_there_are(placement: Placement) -> None:
    answer = placement.ask("GET", "/traits", at="9.9")

    assert answer.status_code == 406 and "openstack-api-version" not in answer.headers
    assert (told(answer)["min_version"], told(answer)["max_version"]) == ("1.0", "1.39")
    assert placement.ask("GET", "/traits", at="one").status_code == 400


def test_the_version_used_is_answered(placement: Placement) -> None:
    answer = placement.ask("GET", "/resource_providers", at="1.9")

    assert answer.headers["openstack-api-version"] == "placement 1.9"
    assert "last-modified" not in answer.headers
    assert placement.ask("GET", "/resource_providers", at="latest").headers["cache-control"] == "no-cache"


BROUGHT = (
    ("GET", "/resource_classes", 2), ("GET", "/traits", 6), ("GET", "/usages?project_id=p", 9),
    ("GET", "/allocation_candidates?resources=VCPU:1", 10), ("POST", "/allocations", 13), ("POST", "/reshaper", 30),
    ("GET", "/resource_providers/{}/aggregates", 1), ("GET", "/resource_providers/{}/traits", 6),
)  # fmt: skip


def test_what_came_with_a_version_is_not_there_before(placement: Placement) -> None:
    own = placement.provider("a")

    for method, path, since in BROUGHT:
        where: str = path.replace("{}", own)
        body: Any = {} if method == "POST" else None
        assert placement.ask(method, where, body, at=f"1.{since - 1}").status_code == 404, path
        assert placement.ask(method, where, body, at=f"1.{since}").status_code in (200, 400), path


@pytest.mark.parametrize(("version", "status"), [("1.0", 201), ("1.19", 201), ("1.20", 200), ("1.39", 200)])
def test_a_new_provider_is_shown_since_120(placement: Placement, version: str, status: int) -> None:
    own = str(uuid4())

    answer = placement.ask("POST", "/resource_providers", {"name": "a", "uuid": own}, at=version)

    assert answer.status_code == status
    assert answer.headers["location"] == f"{URL}/resource_providers/{own}"
    assert bool(answer.content) == (status == 200)
    shown = placement.get(f"/resource_providers/{own}")
    assert (shown["name"], shown["generation"], shown["parent_provider_uuid"]) == ("a", 0, None)
    assert shown["root_provider_uuid"] == own
    assert [one["rel"] for one in shown["links"]] == [
        "self", "inventories", "usages", "aggregates", "traits", "allocations"
    ]  # fmt: skip
    assert [one["rel"] for one in placement.get(f"/resource_providers/{own}", at="1.0")["links"]] == [
        "self", "inventories", "usages"
    ]  # fmt: skip


def test_names_and_ids_are_there_once(placement: Placement) -> None:
    own = placement.provider("a")

    same_name = placement.ask("POST", "/resource_providers", {"name": "a"})
    same_id = placement.ask("POST", "/resource_providers", {"name": "b", "uuid": own})
    other = placement.provider("b")
    renamed = placement.ask("PUT", f"/resource_providers/{other}", {"name": "a"})

    assert [one.status_code for one in (same_name, same_id, renamed)] == [409, 409, 409]
    assert {told(one)["code"] for one in (same_name, same_id, renamed)} == {"placement.duplicate_name"}


def test_of_many_who_take_one_name_at_once_one_gets_it(placement: Placement) -> None:
    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: placement.ask("POST", "/resource_providers", {"name": "a"}), range(8)))

    assert sorted(one.status_code for one in answers) == [200] + [409] * 7


BAD_PROVIDERS: tuple[Any, ...] = (
    {}, [], "a", {"name": 1}, {"name": "n" * 201}, {"name": "a", "more": 1}, {"name": "a", "uuid": "x"},
    {"name": "a", "parent_provider_uuid": "x"},
)  # fmt: skip


def test_a_malformed_provider_is_400(placement: Placement) -> None:
    answers = [placement.ask("POST", "/resource_providers", body) for body in BAD_PROVIDERS]

    assert [one.status_code for one in answers] == [400] * len(answers)
    assert all("JSON does not validate" in told(one)["detail"] for one in answers)


def test_a_body_of_another_kind_is_415(placement: Placement) -> None:
    answer = placement.ask("POST", "/resource_providers", content=b"name=a", headers={"content-type": "text/plain"})

    assert answer.status_code == 415 and told(answer)["title"] == "Unsupported Media Type"


def test_trees_grow_move_and_never_bite_their_tail(placement: Placement) -> None:
    root, other = placement.provider("root"), placement.provider("other")
    child = placement.provider("child", parent=root)
    leaf = placement.provider("leaf", parent=child)

    def moved(provider: str, parent: str | None, at: str = "1.39") -> int:
        body = {"name": provider[:8] if provider != child else "child", "parent_provider_uuid": parent}
        return placement.ask("PUT", f"/resource_providers/{provider}", body, at=at).status_code

    assert {one["name"] for one in placement.get(f"/resource_providers?in_tree={leaf}")["resource_providers"]} == {
        "root", "child", "leaf"
    }  # fmt: skip
    assert moved(child, leaf) == 400 and moved(child, child) == 400 and moved(child, str(uuid4())) == 400
    assert moved(child, other, at="1.36") == 400 and moved(child, None, at="1.36") == 400
    assert moved(child, other) == 200
    assert placement.get(f"/resource_providers/{leaf}")["root_provider_uuid"] == other
    refused = placement.ask("DELETE", f"/resource_providers/{other}")
    assert told(refused)["code"] == "placement.resource_provider.cannot_delete_parent"
    assert moved(child, None) == 200
    assert placement.get(f"/resource_providers/{leaf}")["root_provider_uuid"] == child
    for provider in (leaf, child, other, root):
        assert placement.ask("DELETE", f"/resource_providers/{provider}").status_code == 204
    assert placement.ask("DELETE", f"/resource_providers/{root}").status_code == 404


def test_every_filter_chooses(placement: Placement) -> None:
    one, two = str(uuid4()), str(uuid4())
    big = placement.provider("big", VCPU=8, traits=("HW_CPU_X86_AVX", "CUSTOM_FAST"), aggregates=(one,))
    small = placement.provider("small", VCPU=2, traits=("HW_CPU_X86_AVX",), aggregates=(one, two))
    bare = placement.provider("bare")
    placement.hold(big, VCPU=5)

    def chosen(query: str) -> set[str]:
        return {row["uuid"] for row in placement.get(f"/resource_providers?{query}")["resource_providers"]}

    assert chosen("") == {big, small, bare}
    assert chosen("name=small") == {small} and chosen(f"uuid={bare}") == {bare} and chosen("name=none") == set()
    assert chosen("resources=VCPU:3") == {big} and chosen("resources=VCPU:4") == set()
    assert chosen("required=HW_CPU_X86_AVX") == {big, small}
    assert chosen("required=HW_CPU_X86_AVX,!CUSTOM_FAST") == {small}
    assert chosen("required=in:CUSTOM_FAST,HW_CPU_X86_AVX2&required=HW_CPU_X86_AVX") == {big}
    assert chosen(f"member_of={one}") == {big, small} and chosen(f"member_of={one}&member_of={two}") == {small}
    assert chosen(f"member_of=in:{two},{uuid4()}") == {small} and chosen(f"member_of=!{one}") == {bare}
    assert chosen(f"in_tree={uuid4()}") == set()


SENSELESS = (
    ("more=1", "1.39"), ("uuid=x", "1.39"), ("required=HW_CPU_X86_AVX", "1.17"), ("required=!HW_CPU_X86_AVX", "1.21"),
    ("required=in:HW_CPU_X86_AVX", "1.38"), ("required=NONE_SUCH", "1.39"), ("required=", "1.39"),
    ("required=in:A,!B", "1.39"), ("resources=VCPU", "1.39"), ("resources=VCPU:0", "1.39"), ("resources=VCPU:x", "1.39"),
    ("resources=NONE:1", "1.39"), ("resources=", "1.39"), ("resources=VCPU:1", "1.3"), ("member_of=x", "1.39"),
    (f"member_of={SOME},{SOME}", "1.39"), (f"member_of=!{SOME}", "1.31"), (f"in_tree={SOME}", "1.13"),
    (f"member_of={SOME}&member_of={SOME}", "1.23"), ("in_tree=x", "1.39"),
)  # fmt: skip


def test_a_filter_that_makes_no_sense_or_is_not_there_yet_is_400(placement: Placement) -> None:
    answers = [
        (query, version, placement.ask("GET", f"/resource_providers?{query}", at=version).status_code)
        for query, version in SENSELESS
    ]

    assert [one for one in answers if one[2] != 400] == []


def test_inventories_need_the_newest_generation_and_move_it_on(placement: Placement) -> None:
    own = placement.provider("a", VCPU=4)
    path = f"/resource_providers/{own}/inventories"
    body = {"resource_provider_generation": 0, "inventories": {"DISK_GB": {"total": 10}}}

    stale = placement.ask("PUT", path, body)
    fresh = placement.ask("PUT", path, body | {"resource_provider_generation": 1})

    assert stale.status_code == 409 and told(stale)["code"] == CONCURRENT
    assert "code" not in told(placement.ask("PUT", path, body, at="1.22"))
    assert fresh.json() == {
        "resource_provider_generation": 2,
        "inventories": {
            "DISK_GB": {
                "total": 10, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1, "allocation_ratio": 1.0
            }
        },
    }  # fmt: skip


def test_one_inventory_is_made_shown_changed_and_deleted(placement: Placement) -> None:
    own = placement.provider("a")
    path = f"/resource_providers/{own}/inventories"

    made = placement.ask("POST", path, {"resource_class": "VCPU", "total": 8, "allocation_ratio": 2.5})
    again = placement.ask("POST", path, {"resource_class": "VCPU", "total": 8})
    changed = placement.ask("PUT", f"{path}/VCPU", {"total": 6, "resource_provider_generation": 2})
    other = placement.ask("PUT", f"{path}/DISK_GB", {"total": 6, "resource_provider_generation": 3})

    assert made.status_code == 201 and made.headers["location"] == f"{URL}/resource_providers/{own}/inventories/VCPU"
    assert made.json()["allocation_ratio"] == 2.5 and made.json()["resource_provider_generation"] == 2
    assert (again.status_code, changed.status_code, other.status_code) == (409, 200, 400)
    assert placement.get(f"{path}/VCPU")["total"] == 6
    assert placement.ask("DELETE", f"{path}/VCPU").status_code == 204
    assert placement.ask("DELETE", f"{path}/VCPU").status_code == 404
    assert placement.ask("GET", f"{path}/VCPU").status_code == 404


def test_all_inventories_go_at_once_since_15_but_not_while_somebody_holds_some(placement: Placement) -> None:
    own = placement.provider("a", VCPU=4, DISK_GB=10)
    path = f"/resource_providers/{own}/inventories"
    consumer = str(uuid4())
    placement.hold(own, consumer, VCPU=1)

    early, held = placement.ask("DELETE", path, at="1.4"), placement.ask("DELETE", path)
    one = placement.ask("DELETE", f"{path}/VCPU")

    assert early.status_code == 405 and held.status_code == one.status_code == 409
    assert told(held)["code"] == "placement.inventory.inuse" and "VCPU" in told(held)["detail"]
    assert placement.ask("DELETE", f"/allocations/{consumer}").status_code == 204
    assert placement.ask("DELETE", path).status_code == 204
    assert placement.get(path)["inventories"] == {}


BAD_NUMBERS: tuple[dict[str, Any], ...] = (
    {}, {"total": 0}, {"total": -1}, {"total": 2**31}, {"total": "8"}, {"total": True}, {"total": 1.5},
    {"total": 8, "reserved": -1}, {"total": 8, "min_unit": 0}, {"total": 8, "max_unit": 0}, {"total": 8, "step_size": 0},
    {"total": 8, "allocation_ratio": "2"}, {"total": 8, "allocation_ratio": 1e39}, {"total": 8, "reserved": 9},
    {"total": 8, "more": 1},
)  # fmt: skip


def test_an_inventory_out_of_bounds_is_400(placement: Placement) -> None:
    path = f"/resource_providers/{placement.provider('a')}/inventories"

    for numbers in BAD_NUMBERS:
        all_of_them = {"resource_provider_generation": 1, "inventories": {"VCPU": numbers}}
        assert placement.ask("POST", path, numbers | {"resource_class": "VCPU"}).status_code == 400, numbers
        assert placement.ask("PUT", path, all_of_them).status_code == 400, numbers


def test_everything_may_be_reserved_since_126(placement: Placement) -> None:
    path = f"/resource_providers/{placement.provider('a')}/inventories"
    body = {"resource_class": "VCPU", "total": 8, "reserved": 8}

    assert placement.ask("POST", path, body, at="1.25").status_code == 400
    assert placement.ask("POST", path, body, at="1.26").status_code == 201


def test_an_unknown_resource_class_has_no_inventory(placement: Placement) -> None:
    path = f"/resource_providers/{placement.provider('a')}/inventories"

    answer = placement.ask("POST", path, {"resource_class": "CUSTOM_NONE", "total": 8})

    assert answer.status_code == 400 and "No such resource class CUSTOM_NONE" in told(answer)["detail"]


def test_resource_classes_are_the_standard_ones_and_those_that_are_made(placement: Placement) -> None:
    assert placement.ask("PUT", "/resource_classes/CUSTOM_A").status_code == 201
    assert placement.ask("PUT", "/resource_classes/CUSTOM_A").status_code == 204
    assert placement.ask("POST", "/resource_classes", {"name": "CUSTOM_B"}, at="1.2").status_code == 201
    assert placement.ask("POST", "/resource_classes", {"name": "CUSTOM_B"}).status_code == 409
    assert (
        placement.ask("PUT", "/resource_classes/CUSTOM_B", {"name": "CUSTOM_C"}, at="1.6").json()["name"] == "CUSTOM_C"
    )

    names = [one["name"] for one in placement.get("/resource_classes")["resource_classes"]]

    assert names[:3] == ["VCPU", "MEMORY_MB", "DISK_GB"] and names[-2:] == ["CUSTOM_A", "CUSTOM_C"]
    assert placement.get("/resource_classes/VCPU")["links"] == [
        {"rel": "self", "href": "/placement/resource_classes/VCPU"}
    ]
    for name in ("VCPU", "thing", "CUSTOM_a", "CUSTOM_" + "A" * 249):
        assert placement.ask("PUT", f"/resource_classes/{name}").status_code == 400
    assert placement.ask("PUT", "/resource_classes/VCPU", {"name": "CUSTOM_D"}, at="1.6").status_code == 400


def test_a_class_goes_only_while_nobody_has_any(placement: Placement) -> None:
    placement.ask("PUT", "/resource_classes/CUSTOM_A")
    own = placement.provider("a", CUSTOM_A=3)

    assert placement.ask("DELETE", "/resource_classes/CUSTOM_A").status_code == 409
    assert placement.ask("DELETE", f"/resource_providers/{own}").status_code == 204
    assert placement.ask("DELETE", "/resource_classes/CUSTOM_A").status_code == 204
    assert placement.ask("DELETE", "/resource_classes/CUSTOM_A").status_code == 404
    assert placement.ask("DELETE", "/resource_classes/VCPU").status_code == 400


def test_traits_are_the_standard_ones_and_those_that_are_made(placement: Placement) -> None:
    made, again = placement.ask("PUT", "/traits/CUSTOM_X"), placement.ask("PUT", "/traits/CUSTOM_X")

    assert (made.status_code, again.status_code, made.content) == (201, 204, b"")
    assert made.headers["location"] == f"{URL}/traits/CUSTOM_X"
    assert placement.ask("GET", "/traits/CUSTOM_X").status_code == 204
    assert placement.ask("GET", "/traits/CUSTOM_Y").status_code == 404
    assert (
        placement.ask("PUT", "/traits/BAD").status_code == placement.ask("DELETE", "/traits/HW_CPU_X86_AVX").status_code
    )
    assert {"HW_CPU_X86_AVX", "CUSTOM_X"} <= set(placement.get("/traits")["traits"])
    assert placement.get("/traits?name=startswith:CUSTOM_")["traits"] == ["CUSTOM_X"]
    assert placement.get("/traits?name=in:CUSTOM_X,CUSTOM_Y,HW_CPU_X86_AVX")["traits"] == ["CUSTOM_X", "HW_CPU_X86_AVX"]
    assert placement.ask("GET", "/traits?name=CUSTOM_X").status_code == 400
    assert placement.ask("GET", "/traits?associated=maybe").status_code == 400


def test_a_provider_s_traits_need_the_newest_generation(placement: Placement) -> None:
    own = placement.provider("a", traits=("HW_CPU_X86_AVX", "CUSTOM_X"))
    path = f"/resource_providers/{own}/traits"

    assert placement.get("/traits?associated=true")["traits"] == ["CUSTOM_X", "HW_CPU_X86_AVX"]
    assert placement.ask("DELETE", "/traits/CUSTOM_X").status_code == 409
    stale = placement.ask("PUT", path, {"resource_provider_generation": 0, "traits": []})
    unknown = placement.ask("PUT", path, {"resource_provider_generation": 2, "traits": ["CUSTOM_NONE"]})
    assert (stale.status_code, unknown.status_code) == (409, 400) and told(stale)["code"] == CONCURRENT
    assert placement.ask("DELETE", path).status_code == 204
    assert placement.get(path) == {"traits": [], "resource_provider_generation": 3}
    assert placement.ask("DELETE", "/traits/CUSTOM_X").status_code == 204


def test_aggregates_have_a_generation_since_119(placement: Placement) -> None:
    own, one = placement.provider("a"), str(uuid4())
    path = f"/resource_providers/{own}/aggregates"

    assert placement.ask("PUT", path, [one], at="1.18").json() == {"aggregates": [one]}
    stale = placement.ask("PUT", path, {"aggregates": [], "resource_provider_generation": 0})
    fresh = placement.ask("PUT", path, {"aggregates": [], "resource_provider_generation": 1})

    assert stale.status_code == 409 and fresh.json() == {"aggregates": [], "resource_provider_generation": 2}
    assert placement.ask("PUT", path, [one, one], at="1.18").status_code == 400
    assert placement.ask("PUT", path, ["x"], at="1.18").status_code == 400


def test_only_operators_and_services_see_placement_and_people_their_own_usage(placement: Placement) -> None:
    member = ("member", "reader")

    for path in ("/resource_providers", "/traits", "/resource_classes", "/allocation_candidates?resources=VCPU:1"):
        assert placement.ask("GET", path, roles=member).status_code == 403
        assert placement.ask("GET", path, roles=("service",)).status_code == 200
    assert placement.ask("GET", f"/usages?project_id={'a1' * 16}", roles=member).status_code == 200
    assert placement.ask("GET", f"/usages?project_id={'b0' * 16}", roles=member).status_code == 403
    assert placement.ask("POST", "/reshaper", {}, roles=("admin",)).status_code == 403


def test_a_wrong_method_says_which_are_right(placement: Placement) -> None:
    answer = placement.ask("PATCH", "/resource_providers")

    assert answer.status_code == 405 and answer.headers["allow"] == "GET, POST"
