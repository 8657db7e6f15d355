"""Nothing gets stuck, nothing gets lost: servers come and go while one part after another is killed.

Seeded: a failure can be repeated with the same `SEED`.  Accepted means answered with 202; whatever was accepted has to end,
ACTIVE or ERROR with a reason or gone, within its deadline, and then database, placement and hosts must agree.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from openstack.connection import Connection
from sqlalchemy import text

from common.db.database import Database
from tests.conftest import ROOT
from tests.harness.agreement import Agreement
from tests.harness.clouds import BIN, Cloud, distributed, embedded, run
from tests.harness.waiting import until

SEED = int(os.environ.get("PILEUS_FIRE_SEED", "20261122"))
SIMULATED = 4
ROUND_S = 8.0  # of traffic around each blow
DEADLINE_S = 240.0  # for whatever was accepted
LIBVIRTD_PID = Path("/run/libvirtd.pid")


@dataclass
class Traffic:
    """Boots and deletes servers until told to stop, and remembers what was accepted."""

    cloud: Cloud
    image: str
    flavors: tuple[str, ...]
    chance: random.Random
    pause_s: tuple[float, float]  # between two requests, at least and at most
    accepted: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    refused: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        with self.client() as http:
            while not self.over.is_set():
                number += 1
                with suppress(httpx.HTTPError):
                    self.one_round(http, number)
                self.over.wait(self.chance.uniform(*self.pause_s))

    def client(self) -> httpx.Client:
        token = self.cloud.sdk("pileus-admin").authorize()
        headers = {"x-auth-token": token, "openstack-api-version": "compute 2.74"}
        return httpx.Client(base_url=f"{self.cloud.url}/compute/v2.1", headers=headers, timeout=20, trust_env=False)

    def one_round(self, http: httpx.Client, number: int) -> None:
        body = {
            "name": f"fire-{number}",
            "flavorRef": self.flavors[number % len(self.flavors)],
            "imageRef": self.image,
            "networks": "none",
        }
        answer = http.post("/servers", json={"server": body})
        if answer.status_code == 202:
            self.accepted.add(answer.json()["server"]["id"])
        else:
            assert answer.status_code in (500, 502, 503), answer.text
            self.refused += 1
        if self.accepted and self.chance.random() < 0.4:
            victim = self.chance.choice(sorted(self.accepted - self.deleted) or sorted(self.accepted))
            if http.delete(f"/servers/{victim}").status_code == 204:
                self.deleted.add(victim)


@pytest.fixture
def traffic_of() -> Iterator[Callable[[Cloud], Traffic]]:
    started: list[tuple[Traffic, threading.Thread]] = []

    def start(cloud: Cloud) -> Traffic:
        sdk = cloud.sdk("pileus-admin")
        cloud.openstack(
            "quota", "set", "--instances", "-1", "--cores", "-1", "--ram", "-1", "admin", cloud="pileus-admin"
        )
        mostly_simulated = [a_flavor(sdk, "required"), a_flavor(sdk, "forbidden")] if cloud.is_distributed else []
        flavors = (*mostly_simulated[:1] * 7, *(mostly_simulated[1:] or [a_flavor(sdk, None)]))
        pause_s = (0.05, 0.4) if cloud.is_distributed else (0.3, 0.9)  # all of an embedded cloud's guests are real
        traffic = Traffic(cloud, empty_image(cloud), flavors, random.Random(SEED), pause_s)
        thread = threading.Thread(target=traffic.run, name="traffic")
        thread.start()
        started.append((traffic, thread))
        return traffic

    yield start
    for traffic, thread in started:
        traffic.over.set()
        thread.join()


def a_flavor(sdk: Connection, simulated: str | None) -> str:
    """Id of a small flavor; `simulated` says whether it has to be, or must not be, on a simulated host."""
    flavor = sdk.compute.create_flavor(name=f"fire-{simulated}", ram=64, vcpus=1, disk=1)
    if simulated is not None:
        sdk.compute.create_flavor_extra_specs(flavor, {"trait:CUSTOM_PILEUS_SIMULATED": simulated})
    return str(flavor.id)


def empty_image(cloud: Cloud) -> str:
    """Id of an image without a system: its guests sit in the firmware and cost nothing."""
    file = cloud.data.parent / "empty.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", str(file), "16M")
    options = ("--disk-format", "qcow2", "--container-format", "bare", "--public", "--file", str(file))
    cloud.openstack("image", "create", *options, "fire", cloud="pileus-admin")
    return str(cloud.openstack_json("image", "show", "fire", cloud="pileus-admin")["id"])


@pytest.mark.timeout(1200)
def test_whatever_is_killed_every_accepted_request_ends(tmp_path: Path, traffic_of: Callable[[Cloud], Traffic]) -> None:
    with distributed(tmp_path / "data", "--simulated", str(SIMULATED), "--supervise") as cloud:
        traffic = traffic_of(cloud)
        for name, strike in BLOWS.items():
            calm(traffic)
            strike(cloud)
            calm(traffic)
            until(lambda: alive(cloud), within_s=180, what=f"the cloud after {name}")
        traffic.over.set()

        end_of_all(traffic)
        Agreement(cloud).holds()


@pytest.mark.timeout(900)
def test_one_process_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, traffic_of: Callable[[Cloud], Traffic]
) -> None:
    with embedded(tmp_path / "data") as cloud:
        traffic = traffic_of(cloud)
        for _ in range(3):
            calm(traffic)
            cloud.kill("pileus")
            cloud.pileus("up", "--listen", cloud.listen, "--detach")
            calm(traffic)
        traffic.over.set()

        end_of_all(traffic)
        Agreement(cloud).holds()


def calm(traffic: Traffic) -> None:
    """Let traffic flow for a while, if need be until something of it was accepted."""
    before = len(traffic.accepted)
    traffic.over.wait(ROUND_S / 2)
    until(lambda: len(traffic.accepted) >= before + 2, what="traffic")


def alive(cloud: Cloud) -> bool:
    try:
        return httpx.get(f"{cloud.url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def backing(cloud: Cloud, service: str, *verbs: str) -> None:
    for verb in verbs:
        run(str(ROOT / "deploy/dev" / f"{service}.sh"), verb, str(cloud.data / service))


def kill_backing(cloud: Cloud, service: str) -> None:
    os.kill(int((cloud.data / service / "pid").read_text().split()[0]), signal.SIGKILL)
    backing(cloud, service, "start")


def kill_libvirtd(cloud: Cloud) -> None:
    """The daemon dies; its guests go on.  Starting it again is the machine's work, systemd's on a real host."""
    pid = int(LIBVIRTD_PID.read_text())
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}/exe").exists(), what="the end of libvirtd")
    run("libvirtd", "-d")


def stall_worker(cloud: Cloud) -> None:
    """It stands still in the middle of its work for longer than it may hold that; another takes over; then it goes on."""
    pid, database = cloud.pids()["compute-worker"], Database(Agreement(cloud).database_url())
    try:
        with another_worker(cloud):
            while not held_by(pid, database):
                os.kill(pid, signal.SIGCONT)
                until(lambda: held_by(pid, database), every_s=0.005, what="the worker at work")
                os.kill(pid, signal.SIGSTOP)
            until(lambda: not held_by(pid, database), within_s=120, what="another that takes over")
            os.kill(pid, signal.SIGCONT)
            until(lambda: held_by(pid, database), every_s=0.005, what="the first at work again")
    finally:
        os.kill(pid, signal.SIGCONT)
        database.close()


def held_by(pid: int, database: Database) -> bool:
    """Whether it has claimed work that nobody else has taken over."""
    query = text("SELECT COUNT(*) FROM sagas WHERE claimed_by LIKE :worker")
    with database.reading() as session:
        return bool(session.scalar(query, {"worker": f"%:{pid}"}))


@contextmanager
def another_worker(cloud: Cloud) -> Iterator[None]:
    command = (str(BIN / "pileus"), "serve", "compute-worker", "--config", str(cloud.data / "pileus.toml"))
    with (cloud.data / "log" / "another-worker.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


# fmt: off
BLOWS: dict[str, Callable[[Cloud], object]] = {
    "compute worker":     lambda cloud: cloud.kill("compute-worker"),
    "standing still":     stall_worker,
    "libvirt agent":      lambda cloud: cloud.kill("agent"),
    "simulated agents":   lambda cloud: cloud.kill("agent-simulated"),
    "compute API":        lambda cloud: cloud.kill("compute-api"),
    "identity":           lambda cloud: cloud.kill("identity"),
    "broker restarted":   lambda cloud: kill_backing(cloud, "rabbitmq"),
    "broker wiped":       lambda cloud: backing(cloud, "rabbitmq", "wipe", "start"),
    "database restarted": lambda cloud: kill_backing(cloud, "postgresql"),
    "libvirtd":           kill_libvirtd,
}
# fmt: on


def end_of_all(traffic: Traffic) -> None:
    """Every accepted server is ACTIVE, ERROR with a reason, or gone if it was to be."""
    assert len(traffic.accepted) > 10
    with traffic.client() as http:
        for server_id in sorted(traffic.accepted):
            until(lambda: has_ended(http, server_id, traffic), within_s=DEADLINE_S, what=f"the end of {server_id}")  # noqa: B023


def has_ended(http: httpx.Client, server_id: str, traffic: Traffic) -> bool:
    answer = http.get(f"/servers/{server_id}")
    if answer.status_code == 404:
        assert server_id in traffic.deleted, f"{server_id} vanished"
        return True
    server = answer.json()["server"]
    if server["OS-EXT-STS:task_state"] is not None or server_id in traffic.deleted:
        return False
    if server["status"] == "ERROR":
        assert server["fault"]["message"], f"{server_id} failed without a reason"
        return True
    return bool(server["status"] == "ACTIVE")
