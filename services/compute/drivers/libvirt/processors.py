"""The processors and memory of a guest, in libvirt's words: https://libvirt.org/formatdomain.html, "CPU model and topology"."""

from __future__ import annotations

from services.compute.core.hardware import Hardware, Limits, Processors
from services.compute.core.hardware.cpu_sets import text_of
from services.compute.core.hardware.fitting import Place
from services.compute.drivers.libvirt.elements import Element, add
from services.compute.drivers.libvirt.plans import Processing

OURS = ("memory", "currentMemory", "maxMemory", "memoryBacking", "vcpu", "cpu", "cputune", "numatune")
"""All of a description that is made here."""


def add_processors(domain: Element, how: Processing, hardware: Hardware, *, vcpus: int, memory_mib: int) -> None:
    """What the domain has of that already is replaced."""
    for tag in OURS:
        for old in domain.findall(tag):
            domain.remove(old)
    add(domain, "memory", str(memory_mib), unit="MiB")
    floats = {"cpuset": text_of(how.shared)} if how.shared and how.place is None else {}
    add(domain, "vcpu", str(vcpus), placement="static", **floats)
    _tuning(domain, how.place, hardware.limits)
    if how.mode is not None:
        _model(domain, how, hardware.processors, vcpus)
        if how.place is not None:
            _memory(domain, how.place, is_locked=hardware.processors.is_locked)


def add_limits(domain: Element, hardware: Hardware) -> None:
    """What belongs to parts of the description that are made elsewhere."""
    _performance_counters(domain, hardware.processors.pmu)
    for disk in domain.iterfind("devices/disk[@device='disk']"):
        if disk.find("readonly") is None:  # else it is a config drive
            _limit_disk(disk, hardware.limits)


def _limit_disk(disk: Element, limits: Limits) -> None:
    for old in disk.findall("iotune"):
        disk.remove(old)
    if limits.disk:
        tune = add(disk, "iotune")
        for name, value in limits.disk.items():
            add(tune, name, str(value))


def _model(domain: Element, how: Processing, processors: Processors, vcpus: int) -> None:
    cpu = add(domain, "cpu", **({} if how.mode == "none" else {"mode": str(how.mode)}))
    if how.mode == "custom" and how.model:
        cpu.set("match", "exact")
        add(cpu, "model", how.model, fallback="forbid")
    topology = processors.topology
    sizes = (vcpus, 1, 1) if topology is None else (topology.sockets, topology.cores, topology.threads)
    add(cpu, "topology", **dict(zip(("sockets", "cores", "threads"), map(str, sizes), strict=True)))
    if processors.address_mode:
        bits = {"bits": str(processors.address_bits)} if processors.address_bits else {}
        add(cpu, "maxphysaddr", mode=processors.address_mode, **bits)
    for flag in how.flags if how.mode != "none" else ():
        add(cpu, "feature", policy="disable" if flag.startswith("-") else "require", name=flag.lstrip("+-"))
    if processors.cells and how.place is not None:
        _cells(add(cpu, "numa"), processors)


def _cells(numa: Element, processors: Processors) -> None:
    for number, cell in enumerate(processors.cells):
        cpus = {"cpus": text_of({*cell.shared, *cell.dedicated})} if cell.shared or cell.dedicated else {}
        add(numa, "cell", id=str(number), **cpus, memory=str(cell.memory_mib), unit="MiB")


def _performance_counters(domain: Element, pmu: bool | None) -> None:
    features = domain.find("features")
    for old in [] if features is None else features.findall("pmu"):
        old.getparent().remove(old)  # type: ignore[union-attr]  # it was found below `features`
    if pmu is not None:
        add(add(domain, "features") if features is None else features, "pmu", state="on" if pmu else "off")


def _tuning(domain: Element, place: Place | None, limits: Limits) -> None:
    tune = add(domain, "cputune")
    for tag, value in (("shares", limits.cpu_shares), ("period", limits.cpu_period_us), ("quota", limits.cpu_quota_us)):
        if value is not None:
            add(tune, tag, str(value))
    if place is not None:
        pins = {vcpu: cpus for cell in place.cells for vcpu, cpus in cell.pins.items()}
        for vcpu in sorted(pins):
            add(tune, "vcpupin", vcpu=str(vcpu), cpuset=text_of(pins[vcpu]))
        add(tune, "emulatorpin", cpuset=text_of(place.emulator))
    if not len(tune):
        domain.remove(tune)


def _memory(domain: Element, place: Place, *, is_locked: bool) -> None:
    """Each cell's from one cell of the host, and from nowhere else."""
    tune = add(domain, "numatune")
    add(tune, "memory", mode="strict", nodeset=text_of({cell.host_cell for cell in place.cells}))
    for number, cell in enumerate(place.cells):
        add(tune, "memnode", cellid=str(number), mode="strict", nodeset=str(cell.host_cell))
    paged = {number: cell.page_kib for number, cell in enumerate(place.cells) if cell.is_paged}
    if not paged and not is_locked:
        return
    backing = add(domain, "memoryBacking")
    if is_locked:
        add(backing, "locked")
    if paged:
        pages = add(backing, "hugepages")
        for size in sorted(set(paged.values())):
            nodes = {number for number, of_cell in paged.items() if of_cell == size}
            add(pages, "page", size=str(size), unit="KiB", nodeset=text_of(nodes))
