"""The processes of a distributed cloud on this machine: which there are, how each is started, found and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cli.places import Places, write_private
from cli.progress import step
from cli.running import Running, remember, remembered, wait_until
from common.errors import NotFound, Unavailable

DEV = Path(__file__).parents[1] / "deploy/dev"
STOP_S = 40
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Process:
    """One process: arguments of the pileus command, and what it finds in its environment."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def planned(places: Places, *, simulated: int) -> list[Process]:
    """Every process of this cloud, in the order in which they start."""
    config = ("--config", str(places.settings))
    served = [
        Process(name, ("serve", name, *config))
        for name in (
            "identity",
            "image",
            "compute-api",
            "placement-api",
            "compute-console",
            "compute-worker",
            "gateway",
        )
    ]
    agents = [Process("agent", ("agent", *config))]
    if simulated:
        environment = {
            "PILEUS_AGENT_DRIVER": "simulated",
            "PILEUS_AGENT_SIMULATED_HOSTS": str(simulated),
            "PILEUS_AGENT_STORAGE": str(places.data / "simulated"),
        }
        agents.append(Process("agent-simulated", ("agent", *config), environment))
    return served + agents


def write_plan(places: Places, processes: Sequence[Process]) -> None:
    places.run.mkdir(mode=0o700, exist_ok=True)
    places.logs.mkdir(mode=0o700, exist_ok=True)
    write_private(places.run / "plan.json", json.dumps([asdict(one) for one in processes], indent=1))


def plan(places: Places) -> list[Process]:
    """What was started last.  NotFound before the first start."""
    try:
        return [Process(**one) for one in json.loads((places.run / "plan.json").read_text())]
    except OSError as error:
        raise NotFound(f"The cloud in {places.data} was never started as a distributed one") from error


def pid_file(places: Places, name: str) -> Path:
    return places.run / f"{name}.pid"


def all_of(places: Places) -> dict[str, Running | None]:
    """Name -> living process, or None."""
    found = {one.name: remembered(pid_file(places, one.name)) for one in plan(places)}
    if pid_file(places, SUPERVISOR).exists():
        found[SUPERVISOR] = remembered(pid_file(places, SUPERVISOR))
    return found


def start(places: Places, process: Process) -> subprocess.Popen[bytes]:
    """Start it in the background, its log in the data directory."""
    log = os.open(places.logs / f"{process.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *process.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **process.environment},
            start_new_session=True,
        )
    finally:
        os.close(log)
    if (running := Running.of(child.pid)) is not None:
        remember(pid_file(places, process.name), running)
    return child


def stop_all(places: Places) -> None:
    """Stop everything but the guests: first who would start it again, then the parts, then broker and database."""
    try:
        processes = all_of(places)
    except NotFound:
        processes = {}
    if (supervisor := processes.pop(SUPERVISOR, None)) is not None:
        _end({SUPERVISOR: supervisor})
    living = {name: process for name, process in processes.items() if process is not None}
    if living:
        with step(f"Stop {', '.join(living)}"):
            _end(living)
    for name in (SUPERVISOR, *processes):
        pid_file(places, name).unlink(missing_ok=True)
    with step("Stop RabbitMQ and PostgreSQL"):
        for service in SERVICES:
            backing(service, "stop", places)


def _end(processes: Mapping[str, Running]) -> None:
    for process in processes.values():
        process.send(signal.SIGTERM)
    if not wait_until(lambda: not any(one.is_alive() for one in processes.values()), STOP_S):
        left = ", ".join(f"{name} ({one.pid})" for name, one in processes.items() if one.is_alive())
        raise Unavailable(f"These processes did not stop within {STOP_S} s: {left}. To insist: kill -9 PID")


# ---------------------------------------------------------------- broker and database

SERVICES = ("rabbitmq", "postgresql")


def backing(service: str, verb: str, places: Places, *arguments: str) -> str:
    """Run deploy/dev's script for one of `SERVICES`; what it printed.  Unavailable with its last line."""
    folder = places.data / service
    if verb in ("stop", "wipe") and not folder.exists():
        return ""
    command = [str(DEV / f"{service}.sh"), verb, str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=180, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise Unavailable(f"{service} ({verb}): {said or 'failed without a word'}")
    return done.stdout.strip()


def wipe(places: Places) -> None:
    """Remove what broker and database keep outside the data directory."""
    for service in SERVICES:
        backing(service, "wipe", places)


def services_running(places: Places) -> Iterator[tuple[str, str]]:
    """(service, what its script says of it), for those that answer.  Unavailable for the first that does not."""
    for service in SERVICES:
        yield service, backing(service, "status", places)
