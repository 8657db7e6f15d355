from __future__ import annotations

from uuid import uuid4

import pytest

from services.compute.core.filters import explain, passing
from services.compute.core.placement import ResourceClass, Stock
from services.compute.core.scheduling import Candidate, HostView, Wish, wish_of
from services.compute.core.weighers import best_first

FLAVOR = {"vcpus": 1, "memory_mib": 2048, "root_gib": 10, "ephemeral_gib": 0, "swap_mib": 0, "extra_specs": {}}
ASKS_FOR_A_CARD = FLAVOR | {"extra_specs": {"resources:CUSTOM_CARD": "1"}}


def a_host(name: str, *, memory_mib: int = 8192, vcpus: int = 8, disk_gib: int = 100, **more: object) -> HostView:
    stock = {
        ResourceClass.MEMORY_MB: Stock(memory_mib, 0, 1.0, 0, memory_mib),
        ResourceClass.VCPU: Stock(vcpus, 0, 1.0, 0, vcpus),
        ResourceClass.DISK_GB: Stock(disk_gib, 0, 1.0, 0, disk_gib),
    }
    return HostView(name=name, stock=stock, **({"zone": "nova"} | more))  # type: ignore[arg-type]


def a_wish(**more: object) -> Wish:
    asked = {"flavor": FLAVOR, "image_properties": {}, "wanted_zone": None, "failed_hosts": ()} | more
    return wish_of(**asked)  # type: ignore[arg-type]


def test_each_filter_tells_which_hosts_it_removed() -> None:
    hosts = [
        a_host("down", is_up=False),
        a_host("off", is_disabled=True),
        a_host("east", zone="east"),
        a_host("small", memory_mib=1024),
    ]

    told = explain(hosts, a_wish(wanted_zone="nova")).message

    assert "ComputeFilter removed 1: down (down)" in told
    assert "EnabledFilter removed 1: off (disabled)" in told
    assert "AvailabilityZoneFilter removed 1: east (in other zones)" in told
    assert "MEMORY_MBFilter removed 1: small (without enough memory)" in told
    assert told.startswith("No valid host was found. Of 4 hosts,")


@pytest.mark.parametrize(
    ("hosts", "asked", "advice"),
    [
        (
            [a_host("a", memory_mib=512), a_host("b", memory_mib=256)],
            {},
            "host a comes closest with 512 of the 2048 MiB of memory asked for: choose a flavor with at most 512 MiB of memory",
        ),
        (
            [a_host("a", memory_mib=512, disk_gib=5)],
            {},
            "choose a flavor with at most 512 MiB of memory and 5 GiB of disk",
        ),
        (
            [a_host("a", is_disabled=True, disabled_reason="new disk")],
            {},
            "enable host a (it was disabled with the reason 'new disk')",
        ),
        ([a_host("a", is_up=False)], {}, "bring host a up again"),
        ([a_host("a", zone="east")], {"wanted_zone": "west"}, "ask for zone 'east' instead of 'west'"),
        ([a_host("a")], {"wanted_zone": "nova:b"}, "ask for host a instead of b"),
        ([a_host("a")], {"failed_hosts": ["a"]}, "find out why host a failed, and try again"),
        ([a_host("a")], {"apart": ["a"]}, "leave out the hint 'different_host'"),
        ([a_host("a")], {"beside": ["b"]}, "leave out the hint 'same_host'"),
        ([a_host("a")], {"image_properties": {"trait:CUSTOM_X": "required"}}, "without requiring CUSTOM_X"),
        ([a_host("a", is_up=False, is_disabled=True)], {}, "more than one of these has to change"),
        ([a_host("a")], {"flavor": ASKS_FOR_A_CARD}, "asks for at most 0 of CUSTOM_CARD, which host a has left"),
        ([], {}, "start an agent on one"),
    ],
)
def test_the_smallest_change_that_would_fit_is_told(
    hosts: list[HostView], asked: dict[str, object], advice: str
) -> None:
    assert advice in explain(hosts, a_wish(**asked)).message


def test_the_advice_is_true() -> None:
    hosts = [a_host("a", memory_mib=1500), a_host("b", memory_mib=900, vcpus=1)]
    advice = explain(hosts, a_wish()).message
    most_mib = int(advice.split("at most ")[1].split()[0])

    smaller = a_wish(flavor=FLAVOR | {"memory_mib": most_mib})

    assert [host.name for host in passing(hosts, smaller)] == ["a"]


def test_one_host_is_no_hosts() -> None:
    told = explain([a_host("a", is_up=False)], a_wish()).message

    assert told.startswith("No valid host was found. Of 1 host, ComputeFilter removed 1: a (down).")


def test_a_long_list_of_hosts_is_cut() -> None:
    told = explain([a_host(f"h{number}", is_up=False) for number in range(50)], a_wish()).message

    assert "removed 50: h0, h1, h2 and 47 more" in told


def test_swap_and_ephemeral_disks_count_as_disk() -> None:
    wish = a_wish(flavor=FLAVOR | {"ephemeral_gib": 5, "swap_mib": 1025})

    assert wish.resources[ResourceClass.DISK_GB] == 10 + 5 + 2


def test_the_emptiest_host_comes_first() -> None:
    full, half, empty = (
        Candidate(uuid4(), name, "nova", 0, mib, mib / 1024) for name, mib in (("f", 100), ("h", 4000), ("e", 8000))
    )

    assert [one.host for one in best_first([half, full, empty])] == ["e", "h", "f"]


def test_equal_hosts_take_turns() -> None:
    hosts = [Candidate(uuid4(), str(number), "nova", 0, 1024, 4) for number in range(5)]

    assert len({best_first(hosts)[0].host for _ in range(100)}) > 1
