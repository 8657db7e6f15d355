"""What tests share: a broker and a database server of their own, started from Debian's packages once a session."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from cli import libvirt_daemons
from common.settings import PlatformSettings

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def missing(what: str) -> None:
    """Something outside is not there: a laptop may go on without it, CI may not."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


class OutsideService:
    """RabbitMQ or PostgreSQL in a directory of its own."""

    def __init__(self, script: str, directory: Path, environment: dict[str, str] | None = None) -> None:
        self._script, self.directory, self.port = ROOT / "deploy" / "dev" / script, directory, free_port()
        self._environment = os.environ | (environment or {})

    def run(self, verb: str) -> None:
        command = [str(self._script), verb, str(self.directory), str(self.port)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self._script.name} {verb}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    @property
    def url(self) -> str:
        return (self.directory / "url").read_text().strip()


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideService]:
    if not Path("/usr/lib/rabbitmq").exists():
        missing("RabbitMQ")
    service = OutsideService("rabbitmq.sh", tmp_path_factory.mktemp("rabbitmq"))
    service.run("start")
    yield service
    service.run("wipe")


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideService]:
    if not Path("/usr/lib/postgresql").exists():
        missing("PostgreSQL")
    service = OutsideService("postgresql.sh", tmp_path_factory.mktemp("postgresql"), {"PILEUS_DEV_FSYNC": "off"})
    service.run("start")
    yield service
    service.run("wipe")


@pytest.fixture(scope="session")
def libvirtd() -> None:
    """The machine's libvirt answers at qemu:///system, started if nothing else did."""
    if not Path("/usr/sbin/libvirtd").exists():
        missing("libvirt")
    libvirt_daemons.ensure()


@pytest.fixture
def postgresql_url(postgresql: OutsideService) -> Iterator[str]:
    """An empty database, for this test alone."""
    name = f"test_{uuid4().hex}"
    base = postgresql.url.rstrip("/")
    plain = base.replace("postgresql+psycopg://", "postgresql://") + "/postgres"
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield f"{base}/{name}"
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def platform() -> PlatformSettings:
    """Settings of a cloud within this process."""
    return a_platform()


def a_platform(**changes: object) -> PlatformSettings:
    given: dict[str, object] = {
        "cloud_id": str(uuid4()),
        "public_url": "http://cloud.test",
        "bus_key": SecretStr("a-key-for-tests-only"),
        "identity_url": "http://identity",
        "image_url": "http://image",
    }
    return PlatformSettings.model_validate(given | changes)
