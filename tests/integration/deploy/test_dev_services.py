"""RabbitMQ and PostgreSQL of deploy/dev: started, used, shot, started again and stopped, as the fire test will do."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import psycopg
import pytest
from amqp.exceptions import AccessRefused

from tests.conftest import free_port
from tests.harness.waiting import until


class DevService:
    """One of the two scripts, with a folder of its own."""

    def __init__(self, script: Path, folder: Path) -> None:
        self.script = script
        self.folder = folder

    def do(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.script), verb, str(self.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=240)

    def start(self, port: int | None = None) -> None:
        done = self.do("start", *([str(port)] if port else []))
        assert done.returncode == 0, done.stderr

    @property
    def url(self) -> str:
        return (self.folder / "url").read_text().strip()

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def processes(self) -> list[str]:
        """Command lines of all that runs in its folders; the dead that nobody has collected yet show no folder."""
        moved = self.folder / "data-folder"  # PostgreSQL's data, when its user can not get to the folder
        folders = [self.folder, Path(moved.read_text().strip())] if moved.exists() else [self.folder]
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if any((process / "cwd").readlink().is_relative_to(folder) for folder in folders):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found


@pytest.fixture
def service(deploy: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DevService]:
    """The service that the test names as its parameter, not started; gone with its data when the test ends."""
    made = DevService(deploy / f"dev/{request.param}.sh", tmp_path / "service")
    yield made
    made.do("wipe")


@contextmanager
def queue_of(url: str, *, queue_type: str) -> Iterator[tuple[kombu.Producer, kombu.Queue]]:
    with kombu.Connection(url, connect_timeout=10, transport_options={"confirm_publish": True}) as connection:
        exchange = kombu.Exchange("", channel=connection.default_channel)
        arguments = {"x-queue-type": queue_type}
        queue = kombu.Queue(queue_type, exchange, queue_type, durable=True, queue_arguments=arguments)
        bound = queue(connection.default_channel)
        bound.declare()
        yield connection.Producer(routing_key=queue_type), bound


def keep_message(service: DevService) -> None:
    for queue_type in ("classic", "quorum"):
        with queue_of(service.url, queue_type=queue_type) as (producer, _):
            producer.publish("kept", delivery_mode="persistent")
    # RabbitMQ 3.10 writes the name of a new quorum queue seconds later; killed before, it never gives that queue a leader
    [names] = service.folder.glob("data/*/quorum/*/names.dets")
    until(lambda: b"quorum" in names.read_bytes(), what="the new queue's name on disk")


def kept_messages(url: str) -> int:
    """Messages in both queues; a quorum queue gives out none until it has its leader again."""
    taken = 0
    for queue_type in ("classic", "quorum"):
        with queue_of(url, queue_type=queue_type) as (_, queue):
            taken += queue.get(no_ack=False) is not None  # not acknowledged: it goes back
    return taken


def keep_row(service: DevService) -> None:
    with database(service.url) as connection:
        connection.execute("create table kept (word text)")
        connection.execute("insert into kept values ('kept')")


def kept_rows(url: str) -> int:
    with database(url) as connection:
        there = connection.execute("select count(*) from pg_tables where tablename = 'kept'").fetchone()
        return there[0] if there else 0


def database(url: str) -> psycopg.Connection[tuple[int]]:
    return psycopg.connect(url.replace("postgresql+psycopg", "postgresql") + "compute", connect_timeout=10)


# fmt: off
KEEP: dict[str, Callable[[DevService], None]] = {"rabbitmq": keep_message,  "postgresql": keep_row}
KEPT: dict[str, Callable[[str], int]]         = {"rabbitmq": kept_messages, "postgresql": kept_rows}
ALL:  dict[str, int]                          = {"rabbitmq": 2,             "postgresql": 1}
# fmt: on
both = pytest.mark.parametrize("service", ["rabbitmq", "postgresql"], indirect=True)


def name_of(service: DevService) -> str:
    return service.script.stem


@both
def test_a_service_killed_outright_starts_again_with_what_it_had_confirmed(service: DevService) -> None:
    service.start(free_port())
    KEEP[name_of(service)](service)
    killed = service.pid

    service.kill()
    service.start()

    assert service.pid != killed
    kept = KEPT[name_of(service)]
    until(lambda: kept(service.url) == ALL[name_of(service)], what="what was confirmed")


@both
def test_starting_twice_is_starting_once(service: DevService) -> None:
    service.start(free_port())
    first = service.pid

    service.start()

    assert service.pid == first


@both
def test_stopping_leaves_no_process_and_status_says_so(service: DevService) -> None:
    service.start(free_port())
    assert service.processes()
    assert service.do("status").returncode == 0

    assert service.do("stop").returncode == 0

    assert service.processes() == []
    assert service.do("status").returncode == 1
    assert service.do("stop").returncode == 0


@both
def test_wiping_forgets_the_data_and_keeps_the_address(service: DevService) -> None:
    service.start(free_port())
    KEEP[name_of(service)](service)
    address = service.url

    service.do("wipe")
    service.start()

    assert service.url == address
    assert KEPT[name_of(service)](service.url) == 0


@both
def test_it_listens_on_loopback_only_and_its_secrets_are_for_its_owner(service: DevService) -> None:
    service.start(free_port())

    port = urlsplit(service.url).port
    sockets = subprocess.run(["ss", "-Hltnp"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split()[3] for line in sockets if f"pid={service.pid}," in line] == [f"127.0.0.1:{port}"]
    for secret in ("url", "password"):
        assert stat.S_IMODE((service.folder / secret).stat().st_mode) == 0o600


@both
def test_a_taken_port_is_refused_with_a_reason(service: DevService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        refused = service.do("start", str(port))

    assert refused.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in refused.stderr
    assert service.processes() == []


@both
def test_two_of_a_kind_run_side_by_side(service: DevService, tmp_path: Path) -> None:
    other = DevService(service.script, tmp_path / "other")
    try:
        service.start(free_port())
        other.start(free_port())

        service.do("stop")

        assert other.do("status").returncode == 0
        assert KEPT[name_of(other)](other.url) == 0
    finally:
        other.do("wipe")


@pytest.mark.parametrize("service", ["rabbitmq"], indirect=True)
def test_rabbitmq_does_not_know_the_user_guest(service: DevService) -> None:
    service.start(free_port())
    secret = urlsplit(service.url).password or ""

    with pytest.raises(AccessRefused):
        kept_messages(service.url.replace(f"pileus:{secret}", "guest:guest"))


@pytest.mark.parametrize("service", ["postgresql"], indirect=True)
def test_postgresql_wants_the_password_even_on_loopback(service: DevService) -> None:
    service.start(free_port())
    secret = urlsplit(service.url).password or ""

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        kept_rows(service.url.replace(secret, "guessed"))
