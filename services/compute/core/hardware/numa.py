"""How a guest's processors and memory are parted into NUMA cells, and which pages its memory is made of.

Each cell of a guest lies in a cell of its own of the host.  Rules: Compute's guide, "CPU topologies" and "Huge pages".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from common.errors import InvalidInput
from services.compute.core.hardware.cpu_sets import cpus_of
from services.compute.core.hardware.settings import TEXT, Setting, number
from services.compute.core.hardware.sizes import Wanted

T = TypeVar("T")

MOST_CELLS = 128
SIZES = ("small", "large", "any")  # the host's smallest pages; any but those; whichever it has
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}

# fmt: off
NODES =    Setting("hw_numa_nodes", "hw:numa_nodes", number(), "how many NUMA cells it has, each in another one of the host")
CPUS =     Setting("hw_numa_cpus.N", "hw:numa_cpus.N", TEXT, "the processors in cell N, such as `0-3,6`")
MEMORIES = Setting("hw_numa_mem.N", "hw:numa_mem.N", number(), "MiB of memory in cell N")
PAGES =    Setting("hw_mem_page_size", "hw:mem_page_size", TEXT,
                   "pages of its memory: `small`, `large`, `any`, or a size such as `2MB`; an image may choose where the flavor "
                   "says `large` or `any`")
# fmt: on
SETTINGS: tuple[Setting[object], ...] = (NODES, CPUS, MEMORIES, PAGES)

FORBIDDEN = "Image property '{}' is not permitted to override NUMA configuration set against the flavor"


class Cell(BaseModel):
    """Numbers are the guest's own processors."""

    model_config = ConfigDict(frozen=True)

    shared: tuple[int, ...] = ()
    dedicated: tuple[int, ...] = ()
    memory_mib: int


def page_size_of(wanted: Wanted) -> str | int | None:
    """One of SIZES, or KiB; None: nothing is asked for.  An image may only narrow down what its flavor leaves open."""
    flavor, image = wanted.spec(PAGES), wanted.property(PAGES)
    if flavor is None:
        if image is not None:
            raise InvalidInput(f"Page size {image[:64]} forbidden against '<empty>'")
        return None
    size = _page_size(flavor)
    if image is None:
        return size
    if size not in ("any", "large"):
        raise InvalidInput(f"Page size {image[:64]} forbidden against '{flavor[:64]}'")
    return _page_size(image)


def cells_of(wanted: Wanted, dedicated: frozenset[int]) -> tuple[Cell, ...]:
    """As many as are asked for, at least one.  InvalidInput"""
    count = _count(wanted) or 1
    cpus = _listed(wanted, CPUS, cpus_of)
    memories = _listed(wanted, MEMORIES, _mib)
    if cpus is None and memories is None:
        cpus, memories = _even(wanted, count)
    if cpus is None or memories is None or not len(cpus) == len(memories) == count:
        raise InvalidInput("CPU and memory allocation must be provided for all NUMA nodes")
    _must_part(wanted, cpus, memories)
    return tuple(
        Cell(shared=tuple(sorted(of_cell - dedicated)), dedicated=tuple(sorted(of_cell & dedicated)), memory_mib=memory)
        for of_cell, memory in zip(cpus, memories, strict=True)
    )


def has_cells(wanted: Wanted) -> bool:
    return _count(wanted) is not None


def _count(wanted: Wanted) -> int | None:
    flavor, image = wanted.spec(NODES), wanted.property(NODES)
    if flavor and image:
        raise InvalidInput(FORBIDDEN.format("hw_numa_nodes"))
    wanted.asked.image(NODES)
    given = flavor or image
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", given) or int(given) < 1:
        raise InvalidInput(f"The property 'numa_nodes' cannot be '{given[:64]}'. It must be a number greater than 0")
    return int(given)


def _listed(wanted: Wanted, setting: Setting[object], read: Callable[[str], T]) -> list[T] | None:
    """What is said of cell 0, 1, …; None: nothing."""
    flavor = _numbered(wanted.asked.extra_specs, setting.flavor or "", read)
    image = _numbered(wanted.asked.properties, setting.image or "", read)
    if flavor is not None and image is not None:
        raise InvalidInput(FORBIDDEN.format((setting.image or "").removesuffix(".N")))
    return flavor if flavor is not None else image


def _numbered(given: Mapping[str, Any], name: str, read: Callable[[str], T]) -> list[T] | None:
    found = []
    for cell in range(MOST_CELLS):
        if (value := given.get(name.replace("N", str(cell)))) is None:
            break
        found.append(read(str(value)))
    return found or None


def _even(wanted: Wanted, count: int) -> tuple[list[frozenset[int]], list[int]]:
    if wanted.vcpus % count or wanted.memory_mib % count:
        raise InvalidInput(
            "Instance CPUs and/or memory cannot be evenly distributed across instance NUMA nodes. Explicit assignment of "
            "CPUs and memory to nodes is required"
        )
    each = wanted.vcpus // count
    return (
        [frozenset(range(at * each, (at + 1) * each)) for at in range(count)],
        [wanted.memory_mib // count] * count,
    )


def _must_part(wanted: Wanted, cpus: list[frozenset[int]], memories: list[int]) -> None:
    """Every processor is in one cell, and every MiB."""
    left = set(range(wanted.vcpus))
    for cpu in (one for of_cell in cpus for one in sorted(of_cell)):
        if cpu >= wanted.vcpus:
            raise InvalidInput(f"CPU number {cpu} is larger than max {wanted.vcpus - 1}")
        if cpu not in left:
            raise InvalidInput(f"CPU number {cpu} is assigned to two nodes")
        left.remove(cpu)
    if left:
        raise InvalidInput(f"CPU number {left} is not assigned to any node")
    if sum(memories) != wanted.memory_mib or min(memories) < 1:
        raise InvalidInput(f"{sum(memories)} MB of memory assigned, but expected {wanted.memory_mib} MB")


def _mib(text: str) -> int:
    if re.fullmatch(r"\s*-?[0-9]{1,9}\s*", text) is None:
        raise InvalidInput(f"invalid literal for int() with base 10: {text[:64]!r}")
    return int(text)


def _page_size(given: str) -> str | int:
    """`2048` is KiB; `2MB`, `1GiB`, `16384kb` say what they are."""
    if given in SIZES:
        return given
    match = re.fullmatch(r"([0-9]{1,12})(?:([kKMGTP]?)i?(b|bit|B))?", given)
    if match is not None:
        number, power, unit = int(match[1]), match[2], match[3]
        size = number if unit is None else number * 1024 ** POWERS[power.lower()] // (1024 if unit == "B" else 8 * 1024)
        if 0 < size < 1 << 40:
            return size
    raise InvalidInput(f"Invalid memory page size '{given[:64]}'")
