"""A host's NUMA cells, which guests have what of them, and which one a guest gets.

What guests have is read from their own descriptions, so nothing is forgotten when the agent ends; a guest that is off, or
may still go back to another size, keeps what it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from uuid import UUID

import libvirt
from lxml import etree

from common.errors import HostFailed
from services.compute.core.hardware.cpu_sets import cpus_of
from services.compute.core.hardware.fitting import Held, HostCell, Place, fit
from services.compute.core.hardware.processors import Processors
from services.compute.drivers.libvirt.elements import Element, parse
from services.compute.drivers.libvirt.options import LibvirtOptions

INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


def host_cells(connection: libvirt.virConnect, options: LibvirtOptions, *, memory_mib: int) -> tuple[HostCell, ...]:
    """`memory_mib`: of all together; a host with one cell has all of it there, whatever the kernel says of that cell."""
    topology = etree.fromstring(connection.getCapabilities().encode()).find("host/topology/cells")
    cells = [] if topology is None else [_cell(one, options) for one in topology.findall("cell")]
    if len(cells) == 1:
        [only], smallest = cells, cells[0].smallest_page_kib
        huge_kib = sum(size * count for size, count in only.pages.items() if size != smallest)
        usual = max(memory_mib * 1024 - huge_kib, 0) // smallest
        return (only.model_copy(update={"pages": only.pages | {smallest: usual}}),)
    return tuple(cells)


def place_of(
    connection: libvirt.virConnect,
    cells: tuple[HostCell, ...],
    guests: Mapping[UUID, libvirt.virDomain],
    server_id: UUID,
    wanted: Processors,
) -> Place | None:
    """Where this guest goes, beside those that are here; None if it has no wishes.  HostFailed if there is no such place."""
    if not wanted.cells:
        return None
    own = {cpu for cell in cells for cpu in cell.dedicated}
    others = [found for server, domain in guests.items() if server != server_id and (found := _described(domain))]
    mine = [found for server, domain in guests.items() if server == server_id and (found := _described(domain))]
    before = frozenset(cpu for one in mine for part in one for cpu in _pinned(part) if cpu in own)
    place = fit(cells, wanted, _held(others, own), like=before)
    if place is None:
        raise HostFailed(
            "This host has not enough free processors or memory pages left in its NUMA cells for this guest",
            server_id=server_id,
        )
    return place


def _cell(cell: etree._Element, options: LibvirtOptions) -> HostCell:
    cores = {frozenset(cpus_of(str(cpu.get("siblings")))) for cpu in cell.iterfind("cpus/cpu") if cpu.get("siblings")}
    here = {int(str(cpu.get("id"))) for cpu in cell.iterfind("cpus/cpu")}
    pages = {int(str(page.get("size"))): int(page.text or 0) for page in cell.findall("pages")}
    return HostCell(
        number=int(str(cell.get("id"))),
        shared=tuple(sorted(here & options.shared_cpus) if options.shared_cpus is not None else sorted(here)),
        dedicated=tuple(sorted(here & options.dedicated_cpus)),
        cores=tuple(sorted(tuple(sorted(core)) for core in cores)),
        pages=pages,
    )


def _described(domain: libvirt.virDomain) -> list[Element]:
    """As it is, and as it may go back to; nothing if it is gone by now."""
    try:
        texts = [domain.XMLDesc(INACTIVE)]
        texts += [snapshot.getXMLDesc(0) for snapshot in domain.listAllSnapshots(0)]
    except libvirt.libvirtError:
        return []
    return [found for text in texts if (found := _domain(parse(text))) is not None]


def _domain(root: Element) -> Element | None:
    return root if root.tag == "domain" else root.find("domain")


def _held(guests: Iterable[list[Element]], own: set[int]) -> Held:
    cpus: set[int] = set()
    memory_kib: dict[tuple[int, int], int] = defaultdict(int)
    for parts in guests:
        cpus.update(cpu for part in parts for cpu in _pinned(part) if cpu in own)
        for key, amount in _memory(parts[0]).items():
            memory_kib[key] += amount
    return Held(frozenset(cpus), memory_kib)


def _pinned(domain: Element) -> set[int]:
    pins = [*domain.iterfind("cputune/vcpupin"), *domain.iterfind("cputune/emulatorpin")]
    return {cpu for pin in pins for cpu in cpus_of(str(pin.get("cpuset") or ""))}


def _memory(domain: Element) -> dict[tuple[int, int], int]:
    """KiB of (cell of the host, size of pages in KiB)."""
    places = {str(node.get("cellid")): str(node.get("nodeset")) for node in domain.iterfind("numatune/memnode")}
    page = domain.find("memoryBacking/hugepages/page")
    size = 4 if page is None else _kib(str(page.get("size")), str(page.get("unit") or "KiB"))
    found: dict[tuple[int, int], int] = defaultdict(int)
    for cell in domain.iterfind("cpu/numa/cell"):
        for host_cell in cpus_of(places.get(str(cell.get("id")), "")):
            found[host_cell, size] += _kib(str(cell.get("memory")), str(cell.get("unit") or "KiB"))
    return found


def _kib(amount: str, unit: str) -> int:
    return int(amount) * {"KiB": 1, "MiB": 1024, "GiB": 1024 * 1024}[unit]
