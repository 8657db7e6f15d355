"""A full disk costs what was asked for meanwhile and nothing else: answers are plain, databases whole, and work goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import missing
from tests.harness.clouds import Cloud, embedded, run
from tests.harness.waiting import until
from tests.security.platform.people import Town, microversion, town_of

SERVERS, PROJECTS = "/compute/v2.1/servers", "/identity/v3/projects"
SIZE_MIB = 96


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Of a cloud whose data directory is a small disk."""
    if os.geteuid() != 0:
        missing("root, who may mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=711", "small", str(disk))
    try:
        with embedded(disk / "data", PILEUS_AGENT_DRIVER="simulated") as cloud, town_of(cloud) as town:
            yield town
    finally:
        run("umount", "--lazy", str(disk))  # its last process may still be on its way out


@contextmanager
def full(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (1 << 20, 4096, 1):
            while fits(file.fileno(), block):
                pass
        yield
    ballast.unlink()


def fits(file: int, block: int) -> bool:
    try:
        return os.write(file, bytes(block)) == block
    except OSError:
        return False


def test_a_full_disk_is_told_plainly_and_work_goes_on_when_there_is_room(town: Town) -> None:
    alice, disk = town.stranger(), town.cloud.data.parent
    order = alice.order(name="first")
    first = alice.boot(name="first")

    with full(disk):
        refused = {
            "a project": town.admin.ask("POST", PROJECTS, json={"project": {"name": "one too many"}}),
            "a server": alice.ask("POST", SERVERS, json=order, headers=microversion("2.96")),
            "an image": alice.ask("POST", "/image/v2/images", json={"name": "one too many"}),
        }
        listed = alice.ask("GET", SERVERS)

    for what, answer in refused.items():
        assert (answer.status_code, is_plain(answer)) == (503, True), f"{what}: {answer.status_code} {answer.text}"
    assert "The disk of the database is full" in refused["a project"].text
    assert [one["id"] for one in listed.json()["servers"]] == [first["id"]]
    assert alice.boot(name="second")["status"] == "ACTIVE"
    assert alice.ask("DELETE", f"{SERVERS}/{first['id']}").status_code == 204
    until(lambda: alice.ask("GET", f"{SERVERS}/{first['id']}").status_code == 404, what="the end of the first server")
    assert town.stranger().name and broken(town.cloud) == {}


def is_plain(answer: httpx.Response) -> bool:
    """A short sentence in the shape of its service."""
    return len(answer.content) < 500 and "Traceback" not in answer.text and "sqlite" not in answer.text.lower()


def broken(cloud: Cloud) -> dict[str, str]:
    """What SQLite finds wrong with each database."""
    found = {}
    for file in (cloud.data / "databases").glob("*.sqlite"):
        with sqlite3.connect(file, timeout=60) as database:
            found[file.name] = str(database.execute("PRAGMA integrity_check").fetchone()[0])
        database.close()
    assert len(found) >= 3
    return {name: said for name, said in found.items() if said != "ok"}
