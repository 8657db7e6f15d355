"""What `pileus status` shows: a line for each fact, green or red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from cli import clouds_file, distributed_processes
from cli.bring_up import local_url
from cli.cloud_client import CloudClient, failing, log_in
from cli.places import Places
from cli.progress import console
from cli.running import Running, owner
from cli.settings_file import CloudSettings
from common.errors import PlatformError
from common.settings import PlatformSettings

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Fact:
    what: str
    says: str
    is_well: bool = True


def show(places: Places) -> bool:
    """Print the facts; whether all is well."""
    all_well = True
    for fact in facts(places):
        all_well = all_well and fact.is_well
        mark = "[green]✓[/green]" if fact.is_well else "[red]✗[/red]"
        console.print(f"{mark} {escape(fact.what):24} {escape(fact.says)}")
    if not all_well:
        console.print(f"\nWhat to do about it: pileus doctor --data {escape(str(places.data))}")
    return all_well


def facts(places: Places) -> Iterator[Fact]:
    """All there is to say, asked from the outside in; ends early when the cloud does not answer."""
    yield Fact(
        "cloud", f"{PlatformSettings.read(places.settings).public_url}, {CloudSettings.read(places.settings).mode}"
    )
    running = processes(places)
    yield from _processes(running)
    try:
        yield from _services(failing(local_url(places)))
        cloud = log_in(places, clouds_file.ADMIN)
        yield from _hosts(cloud)
        yield from _contents(cloud)
    except PlatformError as error:
        yield Fact("services", error.message, False)


def processes(places: Places) -> dict[str, Running | None]:
    """Name -> process, None if it should run and does not."""
    if CloudSettings.read(places.settings).mode == "distributed":
        return distributed_processes.all_of(places)
    return {"pileus": owner(places)}


def _processes(running: dict[str, Running | None]) -> Iterator[Fact]:
    known = {process.pid for process in running.values() if process}
    total = 0.0
    for name, process in running.items():
        if process is None:
            yield Fact(f"process {name}", "does not run", False)
            continue
        held = pss_mib(process.pid, known)
        total += held
        yield Fact(f"process {name}", f"pid {process.pid}, {held:.0f} MiB")
    if len(running) > 1:
        yield Fact("memory", f"{total:.0f} MiB (PSS) in {len(known)} processes")


def _services(sick: dict[str, str]) -> Iterator[Fact]:
    if not sick:
        yield Fact("services", "all ready")
    for service, why in sick.items():
        yield Fact(f"service {service}", why, False)


def _hosts(cloud: CloudClient) -> Iterator[Fact]:
    services = cloud.get("/compute/v2.1/os-services")["services"]
    for one in services:
        well = one["state"] == "up"
        yield Fact(
            f"{one['binary']} on {one['host']}", f"{one['state']}, {one['status']}", well or one["status"] != "enabled"
        )
    if not any(one["binary"] == "nova-compute" and one["state"] == "up" for one in services):
        yield Fact("hosts", "none can run guests", False)


def _contents(cloud: CloudClient) -> Iterator[Fact]:
    servers = _all(cloud, "/compute/v2.1/servers/detail?all_tenants=1", "servers")
    states = Counter(str(one["status"]) for one in servers)
    yield Fact("servers", ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none")
    images = _all(cloud, "/image/v2/images?", "images")
    yield Fact("images", str(len(images)))


def _all(cloud: CloudClient, path: str, key: str) -> list[dict[str, Any]]:
    """Every page of a list."""
    found: list[dict[str, Any]] = []
    while True:
        marker = f"&marker={found[-1]['id']}" if found else ""
        page = cloud.get(f"{path}&limit={PAGE}{marker}")[key]
        found += page
        if len(page) < PAGE:
            return found


def pss_mib(pid: int, listed: Collection[int] = ()) -> float:
    """Memory of a process and its children, less those that are listed by themselves; proc(5), smaps_rollup."""
    children = [child for child in _children(pid) if child not in listed]
    return _pss_kib(pid) / 1024 + sum(pss_mib(child, listed) for child in children)


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []
