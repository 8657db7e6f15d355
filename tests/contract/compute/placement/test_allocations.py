"""Who holds what: as clients write it, and as the scheduler does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.clock import utc_now
from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios
from services.compute.core.scheduling import Candidate, Wish
from services.compute.db.hosts import Hosts
from services.compute.db.placement import Placement as Scheduler
from tests.harness.placement_api import Placement, holding, told
from tests.harness.placement_contract import SEEN_AFTER, a_wish, some_facts
from tests.harness.tokens import ALICE

CONCURRENT = "placement.concurrent_update"


def test_what_is_held_is_shown_with_owner_generation_and_type(placement: Placement) -> None:
    own, consumer = placement.provider("a", VCPU=8, DISK_GB=100), str(uuid4())

    assert placement.hold(own, consumer, VCPU=2, DISK_GB=10).status_code == 204

    shown = placement.get(f"/allocations/{consumer}")
    assert shown["allocations"] == {own: {"resources": {"VCPU": 2, "DISK_GB": 10}, "generation": 2}}
    assert shown["project_id"] == ALICE and shown["user_id"] == "somebody"
    assert (shown["consumer_generation"], shown["consumer_type"]) == (1, "THING")
    assert set(placement.get(f"/allocations/{consumer}", at="1.11")) == {"allocations"}
    assert "consumer_type" not in placement.get(f"/allocations/{consumer}", at="1.37")
    held = placement.get(f"/resource_providers/{own}/allocations")
    assert held["allocations"] == {consumer: {"resources": {"VCPU": 2, "DISK_GB": 10}, "consumer_generation": 1}}
    assert placement.used(own) == {"VCPU": 2, "DISK_GB": 10}
    assert told(placement.ask("DELETE", f"/resource_providers/{own}"))["code"] == "placement.resource_provider.inuse"
    assert placement.get(f"/allocations/{uuid4()}") == {"allocations": {}}


@pytest.mark.parametrize("version", ["1.0", "1.8", "1.12", "1.28", "1.34", "1.38"])
def test_each_version_s_own_form_is_taken(placement: Placement, version: str) -> None:
    own, consumer = placement.provider("a", VCPU=8), str(uuid4())
    minor = int(version[2:])
    body: dict[str, Any] = {"allocations": [{"resource_provider": {"uuid": own}, "resources": {"VCPU": 1}}]}
    if minor >= 12:
        body = {"allocations": {own: {"resources": {"VCPU": 1}}}}
    body |= {"project_id": ALICE, "user_id": "u"} if minor >= 8 else {}
    body |= {"consumer_generation": None} if minor >= 28 else {}
    body |= {"mappings": {"": [own]}} if minor >= 34 else {}
    body |= {"consumer_type": "THING"} if minor >= 38 else {}

    taken = placement.ask("PUT", f"/allocations/{consumer}", body, at=version)
    before = placement.ask("PUT", f"/allocations/{uuid4()}", body, at=f"1.{max(minor - 1, 0)}")

    assert taken.status_code == 204 and placement.used(own)["VCPU"] >= 1
    assert before.status_code == (204 if minor == 0 else 400)


def test_a_consumer_s_generation_must_be_the_newest(placement: Placement) -> None:
    own, consumer = placement.provider("a", VCPU=8), str(uuid4())
    path = f"/allocations/{consumer}"

    early = placement.ask("PUT", path, holding({own: {"VCPU": 1}}, seen=3))
    first = placement.ask("PUT", path, holding({own: {"VCPU": 1}}))
    again = placement.ask("PUT", path, holding({own: {"VCPU": 2}}))
    second = placement.ask("PUT", path, holding({own: {"VCPU": 3}}, seen=1))

    assert [one.status_code for one in (early, first, again, second)] == [409, 204, 409, 204]
    assert {told(one)["code"] for one in (early, again)} == {CONCURRENT}
    assert placement.used(own) == {"VCPU": 3}
    assert placement.ask("PUT", path, holding({}, seen=2)).status_code == 204
    assert placement.used(own) == {"VCPU": 0} and placement.get(path) == {"allocations": {}}


def test_no_more_is_held_than_there_is(placement: Placement) -> None:
    own = placement.provider(
        "a", VCPU={"total": 4, "allocation_ratio": 2.0, "max_unit": 6, "min_unit": 2, "step_size": 2}
    )

    assert placement.hold(own, VCPU=8).status_code == 409
    assert placement.hold(own, VCPU=1).status_code == placement.hold(own, VCPU=3).status_code == 409
    assert placement.hold(own, DISK_GB=1).status_code == 409
    assert placement.hold(own, VCPU=6).status_code == 204
    refused = placement.hold(own, VCPU=4)
    assert refused.status_code == 409 and "exceed the capacity" in told(refused)["detail"]
    assert placement.hold(own, VCPU=2).status_code == 204
    assert placement.used(own) == {"VCPU": 8}


def test_who_holds_too_much_may_always_hold_less(placement: Placement) -> None:
    own, consumer = placement.provider("a", VCPU=8), str(uuid4())
    placement.hold(own, consumer, VCPU=8)
    smaller = {"total": 2, "resource_provider_generation": placement.generation(own)}
    assert placement.ask("PUT", f"/resource_providers/{own}/inventories/VCPU", smaller).status_code == 200

    less = placement.ask("PUT", f"/allocations/{consumer}", holding({own: {"VCPU": 5}}, seen=1))
    more = placement.ask("PUT", f"/allocations/{consumer}", holding({own: {"VCPU": 6}}, seen=2))

    assert (less.status_code, more.status_code) == (204, 409)


def test_many_at_once_never_take_more_than_there_is(placement: Placement) -> None:
    own = placement.provider("a", VCPU=10)

    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: placement.hold(own, VCPU=1).status_code, range(24)))

    assert sorted(answers) == [204] * 10 + [409] * 14 and placement.used(own) == {"VCPU": 10}


def test_several_consumers_change_hands_all_or_none(placement: Placement) -> None:
    own, first, second = placement.provider("a", VCPU=4), str(uuid4()), str(uuid4())
    placement.hold(own, first, VCPU=4)

    swapped = placement.ask("POST", "/allocations", {
        first: holding({}, seen=1), second: holding({own: {"VCPU": 4}})
    })  # fmt: skip
    refused = placement.ask("POST", "/allocations", {
        first: holding({own: {"VCPU": 1}}), second: holding({own: {"VCPU": 4}}, seen=1)
    })  # fmt: skip

    assert (swapped.status_code, refused.status_code) == (204, 409)
    assert placement.get(f"/allocations/{first}") == {"allocations": {}}
    assert placement.get(f"/allocations/{second}")["consumer_generation"] == 1


BAD_HOLDINGS: tuple[Any, ...] = (
    {}, {"consumer_type": "small"}, {"consumer_type": None}, {"project_id": ""}, {"user_id": "u" * 256},
    {"allocations": {"x": {"resources": {"VCPU": 1}}}}, {"consumer_generation": "1"}, {"more": 1}, {"mappings": {}},
    {"allocations": {str(UUID(int=1)): {"resources": {}}}}, {"allocations": {str(UUID(int=1)): {"resources": {"VCPU": 0}}}},
    {"allocations": {str(UUID(int=1)): {"resources": {"vcpu": 1}}}},
    {"allocations": {str(UUID(int=1)): {"resources": {"VCPU": 1}}}},
    {"allocations": {"-" * 36: {"resources": {"VCPU": 1}}}},
)  # fmt: skip


def test_a_malformed_holding_is_400(placement: Placement) -> None:
    own = placement.provider("a", VCPU=4)

    for change in BAD_HOLDINGS:
        body = holding({own: {"VCPU": 1}}) | change if change else {}
        assert placement.ask("PUT", f"/allocations/{uuid4()}", body).status_code == 400, change
        assert placement.ask("POST", "/allocations", {str(uuid4()): body}).status_code == 400, change
    assert placement.ask("PUT", "/allocations/me", holding({own: {"VCPU": 1}})).status_code == 400
    assert placement.ask("PUT", f"/allocations/{uuid4()}", holding({})).status_code == 204  # nothing, of somebody new


def test_usage_is_summed_by_project_user_and_type(placement: Placement) -> None:
    own = placement.provider("a", VCPU=8)
    placement.hold(own, VCPU=2)
    body = holding({own: {"VCPU": 3}}, kind="OTHER") | {"user_id": "else"}
    placement.ask("PUT", f"/allocations/{uuid4()}", body)

    def usage(query: str = "", at: str = "1.39") -> Any:
        return placement.get(f"/usages?project_id={ALICE}{query}", at=at)["usages"]

    assert usage(at="1.37") == {"VCPU": 5} and usage("&user_id=else", at="1.9") == {"VCPU": 3}
    assert usage() == {"THING": {"VCPU": 2, "consumer_count": 1}, "OTHER": {"VCPU": 3, "consumer_count": 1}}
    assert usage("&consumer_type=all") == {"all": {"VCPU": 5, "consumer_count": 2}}
    assert usage("&consumer_type=OTHER") == {"OTHER": {"VCPU": 3, "consumer_count": 1}}
    assert usage("&consumer_type=unknown") == {}
    assert placement.ask("GET", "/usages").status_code == 400
    assert placement.ask("GET", f"/usages?project_id={ALICE}&consumer_type=x").status_code == 400


def test_a_reshape_moves_what_is_held_in_one_step(placement: Placement) -> None:
    root = placement.provider("root", VCPU=8, DISK_GB=100)
    child, consumer = placement.provider("child", parent=root), str(uuid4())
    placement.hold(root, consumer, VCPU=4, DISK_GB=10)

    def reshape(generation: int) -> Any:
        inventories = {
            root: {"resource_provider_generation": generation, "inventories": {"DISK_GB": {"total": 100}}},
            child: {"resource_provider_generation": placement.generation(child), "inventories": {"VCPU": {"total": 8}}},
        }
        moved = holding({root: {"DISK_GB": 10}, child: {"VCPU": 4}}, seen=1)
        return placement.ask("POST", "/reshaper", {"inventories": inventories, "allocations": {consumer: moved}})

    stale, done = reshape(99), reshape(placement.generation(root))

    assert stale.status_code == 409 and told(stale)["code"] == CONCURRENT
    assert done.status_code == 204
    assert placement.used(root) == {"DISK_GB": 10} and placement.used(child) == {"VCPU": 4}


def test_a_reshape_that_leaves_something_held_of_nothing_changes_nothing(placement: Placement) -> None:
    root = placement.provider("root", VCPU=8)
    placement.hold(root, VCPU=4)
    wanted = {root: {"resource_provider_generation": 2, "inventories": {"DISK_GB": {"total": 1}}}}

    answer = placement.ask("POST", "/reshaper", {"inventories": wanted, "allocations": {}})

    assert told(answer)["code"] == "placement.inventory.inuse"
    assert placement.used(root) == {"VCPU": 4} and placement.generation(root) == 2


# ---------------------------------------------------------------- the scheduler's own


def host(placement: Placement, facts: HostFacts) -> str:
    with placement.database.transaction() as session:
        return str(Hosts(session).register(facts, zone="nova", ratios=Ratios(cpu=1.0), at=utc_now()))


def candidates(placement: Placement, wish: Wish) -> list[Candidate]:
    with placement.database.reading() as session:
        return Scheduler(session).candidates(wish, seen_after=SEEN_AFTER, start=uuid4())


def boot(placement: Placement, wish: Wish, server_id: UUID) -> None:
    with placement.database.transaction() as session:
        scheduler = Scheduler(session)
        [candidate] = scheduler.candidates(wish, seen_after=SEEN_AFTER, start=uuid4())
        scheduler.claim(candidate, wish, consumer_id=server_id, project_id=ALICE, user_id="u", at=utc_now())


def test_what_a_server_holds_shows_and_is_not_for_clients_to_change(placement: Placement) -> None:
    own, server_id = host(placement, some_facts("one")), uuid4()
    boot(placement, a_wish(vcpus=2, memory_mib=512, disk_gib=3), server_id)
    path = f"/allocations/{server_id}"

    shown = placement.get(path)

    assert shown["allocations"][own]["resources"] == {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 3}
    assert (shown["project_id"], shown["consumer_type"], shown["consumer_generation"]) == (ALICE, "INSTANCE", 1)
    assert placement.used(own) == {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 3}
    for refused in (
        placement.ask("PUT", path, holding({own: {"VCPU": 1}}, seen=1)),
        placement.ask("POST", "/allocations", {str(server_id): holding({}, seen=1)}),
        placement.ask("DELETE", path),
    ):
        assert refused.status_code == 409 and told(refused)["code"] == "placement.undefined_code"
    with placement.database.transaction() as session:
        Scheduler(session).release(server_id)
    assert placement.get(path) == {"allocations": {}}


def test_what_an_operator_says_acts_on_the_scheduler_at_once(placement: Placement) -> None:
    own = host(placement, some_facts("one", vcpus=8, traits=("HW_CPU_X86_AVX",)))
    wish = a_wish(vcpus=4)
    assert len(candidates(placement, wish)) == 1

    def numbers(**changes: Any) -> int:
        body = {"total": 8, "resource_provider_generation": placement.generation(own)} | changes
        return placement.ask("PUT", f"/resource_providers/{own}/inventories/VCPU", body).status_code

    for changes in ({"reserved": 6}, {"max_unit": 3}, {"min_unit": 5}, {"step_size": 3}, {"total": 3}):
        assert numbers(**changes) == 200
        assert candidates(placement, wish) == [], changes
    assert numbers() == 200 and len(candidates(placement, wish)) == 1
    assert placement.hold(own, VCPU=5).status_code == 204
    assert candidates(placement, wish) == []


def test_an_agent_that_reports_the_same_again_changes_nothing_of_an_operator_s(placement: Placement) -> None:
    facts = some_facts("one", vcpus=8, traits=("HW_CPU_X86_AVX",))
    own = host(placement, facts)
    placement.ask("PUT", "/traits/CUSTOM_GOLD")
    placement.ask("PUT", "/resource_classes/CUSTOM_CARD")
    traits = {"traits": ["HW_CPU_X86_AVX", "CUSTOM_GOLD"], "resource_provider_generation": placement.generation(own)}
    assert placement.ask("PUT", f"/resource_providers/{own}/traits", traits).status_code == 200
    more = {"resource_class": "CUSTOM_CARD", "total": 2}
    assert placement.ask("POST", f"/resource_providers/{own}/inventories", more).status_code == 201
    body = {
        "total": 6,
        "reserved": 1,
        "allocation_ratio": 3.0,
        "resource_provider_generation": placement.generation(own),
    }
    assert placement.ask("PUT", f"/resource_providers/{own}/inventories/VCPU", body).status_code == 200
    before = placement.get(f"/resource_providers/{own}/inventories")

    host(placement, facts)
    unchanged = placement.get(f"/resource_providers/{own}/inventories")
    host(placement, some_facts("one", vcpus=16, traits=("HW_CPU_X86_AVX2",)))
    grown = placement.get(f"/resource_providers/{own}/inventories")["inventories"]

    assert unchanged == before
    assert (grown["VCPU"]["total"], grown["VCPU"]["allocation_ratio"], grown["CUSTOM_CARD"]["total"]) == (16, 3.0, 2)
    assert placement.get(f"/resource_providers/{own}/traits")["traits"] == ["CUSTOM_GOLD", "HW_CPU_X86_AVX2"]


def test_a_host_s_provider_keeps_its_name_and_stays(placement: Placement) -> None:
    own = host(placement, some_facts("one"))

    renamed = placement.ask("PUT", f"/resource_providers/{own}", {"name": "two"})
    gone = placement.ask("DELETE", f"/resource_providers/{own}")

    assert (renamed.status_code, gone.status_code) == (409, 409)
    assert placement.ask("PUT", f"/resource_providers/{own}", {"name": "one"}).status_code == 200
