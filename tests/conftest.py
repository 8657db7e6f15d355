"""What tests share: a broker and a database server of their own, started from Debian's packages once a session.

And what holds for all of them: they leave nothing on the machine, or the run has failed.
"""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from pydantic import SecretStr

from cli import libvirt_daemons
from cli.ports import free_ports
from common.settings import PlatformSettings
from tests.harness import compiled
from tests.harness.leftovers import MARK, left_by
from tests.harness.waiting import until

ROOT = Path(__file__).parent.parent

# httpx gives up after five seconds: too soon on a machine that does much besides, and a test that hangs ends by itself
DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = DEFAULT_TIMEOUT_CONFIG.write = (
    DEFAULT_TIMEOUT_CONFIG.pool
) = 60
compiled.share()
os.environ.setdefault(MARK, uuid4().hex)


def pytest_collection_finish() -> None:
    """Modules and thousands of tests stay to the end: searching them for garbage again and again took a quarter of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After the last fixture of the last of pytest's processes has ended."""
    gc.collect()
    gc.freeze()  # pytest now collects five times over
    if hasattr(session.config, "workerinput"):
        return
    left: list[str] = []

    def is_clean() -> bool:
        left[:] = left_by(os.environ[MARK], session.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
        return not left

    try:
        until(is_clean, within_s=60, every_s=0.5)
    except AssertionError:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.get_terminal_writer().line("\nThe run left:\n" + "\n".join(left), red=True)


def free_port() -> int:
    return free_ports(1)[0]


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
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=300, check=False)
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
