"""Which of a host's processors and memory a guest gets, where that matters: cells of its own, dedicated processors, pages.

Each cell of the guest lies in another cell of the host; no processor is dedicated twice.  The host itself decides, with
what its guests hold; the scheduler asks what a host could hold if it were empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from services.compute.core.hardware.numa import Cell
from services.compute.core.hardware.policies import CpuPolicy, EmulatorThreads, ThreadPolicy
from services.compute.core.hardware.processors import Processors

Pins = dict[int, frozenset[int]]
"""The guest's processor -> the host's that it may run on."""


class HostCell(BaseModel):
    """A NUMA cell of a host.  Numbers are the host's processors."""

    model_config = ConfigDict(frozen=True)

    number: int
    shared: tuple[int, ...] = ()
    dedicated: tuple[int, ...] = ()
    cores: tuple[tuple[int, ...], ...] = ()  # those that are threads of one core
    pages: dict[int, int] = {}  # KiB -> how many there are of that size

    @property
    def smallest_page_kib(self) -> int:
        return min(self.pages, default=4)

    def pages_for(self, wanted: int | str | None) -> list[int]:
        """Sizes that will do, largest first."""
        sizes = sorted(self.pages, reverse=True)
        if isinstance(wanted, int):
            return [wanted] if wanted in self.pages else []
        return {"large": sizes[:-1], "any": sizes}.get(wanted or "small", sizes[-1:])


@dataclass(frozen=True, slots=True)
class Held:
    """What guests have already."""

    cpus: frozenset[int] = frozenset()
    memory_kib: Mapping[tuple[int, int], int] = field(default_factory=dict)  # of (cell, page's size in KiB)


@dataclass(frozen=True, slots=True)
class CellPlace:
    """Where one cell of a guest lies."""

    host_cell: int
    pins: Pins
    page_kib: int
    is_paged: bool  # its pages are not the host's usual ones
    reserved: frozenset[int] = frozenset()  # dedicated to what the hypervisor does beside


@dataclass(frozen=True, slots=True)
class Place:
    cells: tuple[CellPlace, ...]  # in the order of the guest's
    emulator: frozenset[int]


def fit(
    host: Sequence[HostCell], wanted: Processors, held: Held = Held(), *, like: Collection[int] = ()
) -> Place | None:
    """A place for all cells of a guest, or None.  `like`: dedicated processors that it would rather have, its own of before."""
    if len(host) < len(wanted.cells):
        return None
    for found in _places(_roomiest_first(host, wanted, held), wanted, held, like, ()):
        return Place(found, _emulator(host, wanted, found))
    return None


def lack(host: Sequence[HostCell], wanted: Processors) -> str | None:
    """What a host could not hold of that even if it had no guest; None: it could, or another rule says it.

    How many dedicated processors there are is placement's to say, and so is whether cores have threads: a trait.
    """
    if not wanted.cells or fit(host, wanted) is not None:
        return None
    if not host:
        return "tells of no NUMA cells"
    if (count := len(wanted.cells)) > len(host):
        return f"has {len(host)} NUMA cell{'s' if len(host) > 1 else ''} of the {count} asked for"
    if not any(cell.pages_for(wanted.page_size) for cell in host):
        size = wanted.page_size if isinstance(wanted.page_size, str) else f"{wanted.page_size} KiB"
        return f"has no memory pages of the size asked for ({size})"
    if sum(len(cell.dedicated) for cell in host) < wanted.dedicated:
        return None
    if wanted.threads is not None and fit(host, wanted.model_copy(update={"threads": None})) is not None:
        return None if _says_trait(host, wanted.threads) else f"has not the cores for thread policy '{wanted.threads}'"
    return "has no NUMA cell with as many processors or as much memory of that kind"


def _says_trait(host: Sequence[HostCell], policy: ThreadPolicy) -> bool:
    """Whether its trait keeps such guests away already."""
    has_threads = any(len(core) > 1 for cell in host for core in cell.cores)
    return has_threads != (policy is ThreadPolicy.REQUIRE) and policy is not ThreadPolicy.PREFER


def _places(
    host: Sequence[HostCell], wanted: Processors, held: Held, like: Collection[int], found: tuple[CellPlace, ...]
) -> Iterator[tuple[CellPlace, ...]]:
    if len(found) == len(wanted.cells):
        yield found
        return
    used = {one.host_cell for one in found}
    for cell in host:
        if cell.number not in used:
            place = _place(cell, wanted, wanted.cells[len(found)], held, like, is_first=not found)
            if place is not None:
                yield from _places(host, wanted, held, like, (*found, place))


def _place(
    host: HostCell, wanted: Processors, cell: Cell, held: Held, like: Collection[int], *, is_first: bool
) -> CellPlace | None:
    page_kib = _page(host, wanted, cell, held)
    reserve = 1 if is_first and wanted.dedicated and wanted.emulator is EmulatorThreads.ISOLATE else 0
    cpus = _dedicated(host, wanted.threads, len(cell.dedicated) + reserve, held.cpus, like)
    if page_kib is None or cpus is None or len(cell.shared) > len(host.shared):
        return None
    pins = {vcpu: frozenset({cpu}) for vcpu, cpu in zip(cell.dedicated, cpus, strict=False)}
    pins |= {vcpu: frozenset(host.shared) for vcpu in cell.shared}
    own = frozenset(cpus[len(cell.dedicated) :])
    return CellPlace(host.number, pins, page_kib, page_kib != host.smallest_page_kib, own)


def _page(host: HostCell, wanted: Processors, cell: Cell, held: Held) -> int | None:
    """The largest that will do, and of which enough are left.

    Memory of the usual pages may be promised more than once, but not to guests with dedicated processors.
    """
    is_exact = wanted.page_size is not None or wanted.policy is not CpuPolicy.SHARED
    for size in host.pages_for(wanted.page_size):
        left = host.pages[size] * size - (held.memory_kib.get((host.number, size), 0) if is_exact else 0)
        if cell.memory_mib * 1024 <= left and cell.memory_mib * 1024 % size == 0:
            return size
    return None


def _dedicated(
    host: HostCell, policy: ThreadPolicy | None, count: int, taken: frozenset[int], like: Collection[int]
) -> list[int] | None:
    """That many free ones: threads of one core together, if the policy doesn't say otherwise."""
    if not count:
        return []
    own, widest = set(host.dedicated), max((len(core) for core in host.cores), default=1)
    if (policy is ThreadPolicy.ISOLATE and widest > 1) or (policy is ThreadPolicy.REQUIRE and widest == 1):
        return None
    cores = [
        free
        for core in host.cores
        if (free := sorted((own & set(core)) - taken, key=lambda cpu: (cpu not in like, cpu)))
    ]
    cores.sort(key=lambda core: core[0] not in like)
    for threads in range(widest, 1 if policy is ThreadPolicy.REQUIRE else 0, -1):
        usable = [cpu for core in cores if len(core) >= threads for cpu in core[:threads]]
        if len(usable) >= count:
            return usable[:count]
    usable = [cpu for core in cores for cpu in core]
    return usable[:count] if len(usable) >= count and policy is not ThreadPolicy.REQUIRE else None


def _roomiest_first(host: Sequence[HostCell], wanted: Processors, held: Held) -> list[HostCell]:
    """So that the cells of a host fill up evenly."""

    def room(cell: HostCell) -> tuple[int, int]:
        size = cell.smallest_page_kib
        free_kib = cell.pages.get(size, 0) * size - held.memory_kib.get((cell.number, size), 0)
        return (len(set(cell.dedicated) - held.cpus) if wanted.dedicated else 0, free_kib)

    return sorted(host, key=room, reverse=True)


def _emulator(host: Sequence[HostCell], wanted: Processors, found: Sequence[CellPlace]) -> frozenset[int]:
    """The processors for all threads that are no vCPU."""
    if reserved := frozenset[int]().union(*(one.reserved for one in found)):
        return reserved
    if wanted.emulator is EmulatorThreads.SHARE and (shared := {cpu for cell in host for cpu in cell.shared}):
        return frozenset(shared)
    return frozenset[int]().union(*(cpus for one in found for cpus in one.pins.values()))
