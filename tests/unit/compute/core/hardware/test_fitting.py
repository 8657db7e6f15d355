"""Where on a host a guest's cells, dedicated processors and pages go."""

from __future__ import annotations

from itertools import product

import pytest

from services.compute.core.hardware.fitting import Held, HostCell, fit, lack
from services.compute.core.hardware.processors import Processors
from tests.unit.compute.core.hardware.test_processors import Words, asked

MIB_PAGES = 256  # of 4 KiB in one MiB


def a_cell(number: int = 0, *, dedicated: int = 4, shared: int = 2, threads: int = 1, huge: int = 0) -> HostCell:
    """Of 4 GiB, and `huge` pages of 2 MiB; its processors begin at 100 times its number."""
    first = number * 100
    own = tuple(range(first, first + dedicated))
    others = tuple(range(first + dedicated, first + dedicated + shared))
    every = own + others
    cores = tuple(every[at : at + threads] for at in range(0, len(every), threads))
    return HostCell(
        number=number, dedicated=own, shared=others, cores=cores, pages={4: 4096 * MIB_PAGES, 2048: huge, 1 << 20: 0}
    )


def pinned(wanted: Processors, host: list[HostCell], held: Held = Held(), like: tuple[int, ...] = ()) -> list[int]:
    """The host's processors that are the guest's own from now on."""
    place = fit(host, wanted, held, like=like)
    assert place is not None
    own = {cpu for cell in host for cpu in cell.dedicated}
    used = [cpu for cell in place.cells for cpus in cell.pins.values() for cpu in cpus & own]
    return used + [cpu for cell in place.cells for cpu in cell.reserved]


DEDICATED = asked({"cpu_policy": "dedicated"}, vcpus=2)


def test_every_dedicated_vcpu_has_a_free_processor_for_itself() -> None:
    first = pinned(DEDICATED, [a_cell()])
    second = pinned(DEDICATED, [a_cell()], Held(frozenset(first)))

    assert len({*first, *second}) == 4
    assert fit([a_cell()], DEDICATED, Held(frozenset({*first, *second}))) is None


def test_an_isolated_emulator_takes_one_more() -> None:
    wanted = asked({"cpu_policy": "dedicated", "emulator_threads_policy": "isolate"}, vcpus=2)

    place = fit([a_cell(dedicated=3)], wanted)

    assert place is not None and len(place.emulator) == 1
    assert len(pinned(wanted, [a_cell(dedicated=3)])) == 3
    assert fit([a_cell(dedicated=2)], wanted) is None


@pytest.mark.parametrize(("policy", "emulator"), [({}, {0, 1}), ({"emulator_threads_policy": "share"}, {4, 5})])
def test_the_emulator_shares_with_the_guest_or_with_all(policy: Words, emulator: set[int]) -> None:
    place = fit([a_cell()], asked({"cpu_policy": "dedicated"} | policy, vcpus=2))

    assert place is not None and place.emulator == emulator


def test_the_shared_part_of_a_mixed_guest_floats() -> None:
    place = fit([a_cell()], asked({"cpu_policy": "mixed", "cpu_dedicated_mask": "^0"}, vcpus=2))

    assert place is not None
    assert place.cells[0].pins == {0: frozenset({4, 5}), 1: frozenset({0})}


@pytest.mark.parametrize(
    ("threads", "policy", "taken", "pins"),
    [
        (2, "prefer", (), {0, 1}), (2, "prefer", (0, 2, 4), {1, 3}), (2, "require", (0, 4), {2, 3}),
        (2, "require", (0, 2, 4), None), (2, "require", (), {0, 1}), (2, "isolate", (), None),
        (1, "require", (), None), (1, "isolate", (), {0, 1}),
    ],
)  # fmt: skip
def test_a_thread_policy_decides_which_threads_go_together(
    threads: int, policy: str, taken: tuple[int, ...], pins: set[int] | None
) -> None:
    wanted = asked({"cpu_policy": "dedicated", "cpu_thread_policy": policy}, vcpus=2)
    host = [a_cell(dedicated=6, threads=threads)]

    place = fit(host, wanted, Held(frozenset(taken)))

    found = None if place is None else {cpu for cpus in place.cells[0].pins.values() for cpu in cpus}
    assert found == pins


def test_a_guest_that_grows_keeps_what_it_had() -> None:
    wanted = asked({"cpu_policy": "dedicated"}, vcpus=3)

    assert {2, 3} <= set(pinned(wanted, [a_cell()], like=(2, 3)))


def test_each_cell_of_a_guest_has_a_cell_of_the_host_for_itself() -> None:
    wanted = asked({"numa_nodes": "2"})

    place = fit([a_cell(0), a_cell(1)], wanted)

    assert place is not None and {one.host_cell for one in place.cells} == {0, 1}
    assert lack([a_cell()], wanted) == "has 1 NUMA cell of the 2 asked for"


def test_cells_of_different_sizes_find_their_places_whatever_their_order() -> None:
    uneven = {"numa_nodes": "2", "cpu_policy": "dedicated", "numa_mem.0": "512", "numa_mem.1": "512"}
    for sizes, cpus in product([(1, 3), (3, 1)], [("0-2", "3"), ("0", "1-3")]):
        host = [a_cell(number, dedicated=size) for number, size in enumerate(sizes)]

        assert fit(host, asked(uneven | {"numa_cpus.0": cpus[0], "numa_cpus.1": cpus[1]})) is not None


def test_the_emptier_cell_comes_first() -> None:
    host = [a_cell(0), a_cell(1)]

    place = fit(host, DEDICATED, Held(frozenset({0, 1})))

    assert place is not None and place.cells[0].host_cell == 1


@pytest.mark.parametrize(
    ("size", "huge", "used_mib", "page"),
    [
        ("large", 512, 0, 2048), ("any", 512, 0, 2048), ("any", 0, 0, 4), ("small", 512, 0, 4), ("2048", 512, 0, 2048),
        ("large", 511, 0, None), ("large", 0, 0, None), ("large", 1024, 1024, 2048), ("large", 1000, 1024, None),
        ("16384", 512, 0, None), ("any", 1000, 1024, 4),
    ],
)  # fmt: skip
def test_pages_are_taken_while_there_are_enough(size: str, huge: int, used_mib: int, page: int | None) -> None:
    held = Held(memory_kib={(0, 2048): used_mib * 1024})

    place = fit([a_cell(huge=huge)], asked({"mem_page_size": size}, vcpus=2), held)

    assert (None if place is None else place.cells[0].page_kib) == page


def test_memory_may_be_promised_twice_but_not_to_guests_with_dedicated_processors() -> None:
    full = Held(memory_kib={(0, 4): 4000 * 1024})

    assert fit([a_cell()], asked({"numa_nodes": "1"}, vcpus=2), full) is not None
    assert fit([a_cell()], DEDICATED, full) is None
    assert fit([a_cell()], asked({"numa_nodes": "1"}, vcpus=2, memory_mib=5000)) is None


@pytest.mark.parametrize(
    ("specs", "host", "why"),
    [
        ({"mem_page_size": "1GB"}, [], "tells of no NUMA cells"),
        ({"mem_page_size": "16384"}, [a_cell()], "has no memory pages of the size asked for (16384 KiB)"),
        ({"cpu_policy": "dedicated", "cpu_thread_policy": "require"}, [a_cell(dedicated=2, threads=2), a_cell(1, dedicated=2)],
         "has no NUMA cell with as many processors"),
        ({"cpu_policy": "dedicated", "cpu_thread_policy": "require"}, [a_cell(threads=3)],
         "has not the cores for thread policy 'require'"),
        ({"cpu_policy": "dedicated"}, [a_cell(dedicated=3), a_cell(1, dedicated=3)], "has no NUMA cell with as many"),
    ],
)  # fmt: skip
def test_what_a_host_lacks_is_said(specs: Words, host: list[HostCell], why: str) -> None:
    assert why in str(lack(host, asked(specs)))


@pytest.mark.parametrize(
    ("specs", "host"),
    [
        ({}, []),
        ({"cpu_policy": "dedicated"}, [a_cell(dedicated=3)]),
        ({"cpu_policy": "dedicated", "cpu_thread_policy": "require"}, [a_cell()]),
        ({"cpu_policy": "dedicated", "cpu_thread_policy": "isolate"}, [a_cell(threads=2)]),
    ],
)
def test_what_placement_says_is_not_said_again(specs: Words, host: list[HostCell]) -> None:
    assert lack(host, asked(specs)) is None
