"""One process per cloud, known by pid and birth; stopped by name and never by accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.distributed_processes import Process, all_of, pid_file, write_plan
from cli.places import Places
from cli.running import Running, owner, remember, remembered, sole_owner, stop
from cli.servers import address
from common.errors import Conflict, InvalidInput, Unavailable
from tests.harness.waiting import until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)",
]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.at(tmp_path / "cloud")
    found.make()
    return found


def running(process: subprocess.Popen[bytes]) -> Running:
    found = Running.of(process.pid)
    assert found is not None
    return found


def test_a_second_process_cannot_run_the_same_cloud(places: Places) -> None:
    with sole_owner(places):
        found = owner(places)
        assert found is not None and found.pid == os.getpid()
        with pytest.raises(Conflict, match="runs already"), sole_owner(places):
            pass

    assert owner(places) is None
    with sole_owner(places):
        pass


def test_a_process_that_was_killed_leaves_the_cloud_free(places: Places) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom cli.places import Places\nfrom cli.running import sole_owner\n"
        "with sole_owner(Places.at(Path(sys.argv[1]))):\n    print('mine', flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(places.data)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"mine\n"

    process.kill()
    process.wait()
    process.stdout.close()

    assert owner(places) is None
    with sole_owner(places):
        pass


def test_a_later_process_with_the_same_pid_is_not_taken_for_ours(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEPER) as process:
        remember(tmp_path / "pid", Running(process.pid, "1"))

        assert remembered(tmp_path / "pid") is None

        Running(process.pid, "1").send(signal.SIGKILL)
        assert process.poll() is None
        process.kill()


def test_stopping_asks_and_waits(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEPER) as process:
        remember(tmp_path / "pid", running(process))
        found = remembered(tmp_path / "pid")
        assert found is not None

        stop(found)

        assert process.wait() == -signal.SIGTERM
        assert remembered(tmp_path / "pid") is None


def test_who_does_not_stop_is_told_of_and_not_killed() -> None:
    with subprocess.Popen(STUBBORN, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()

        with pytest.raises(Unavailable, match=f"kill -9 {process.pid}"):
            stop(running(process), patience_s=0.3)

        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("text", ["", "x", "1 2 3", "a b"])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)

    assert remembered(tmp_path / "pid") is None


def test_the_supervisor_starts_a_killed_process_again_until_it_is_stopped(places: Places) -> None:
    settings = places.settings
    settings.write_text("[cloud]\n")
    write_plan(places, [Process("sleeper", ("distributed", "supervise", "--data", str(places.data / "inner")))])
    inner = Places.at(places.data / "inner")
    inner.make()
    inner.settings.write_text("[cloud]\n")
    write_plan(inner, [])
    command = [sys.executable, "-m", "cli.main", "distributed", "supervise", "--data", str(places.data)]
    with subprocess.Popen(command) as supervisor:
        first = until(lambda: all_of(places).get("sleeper"), what="it is started")
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        second = until(lambda: _other_than(first, places), what="it is started again")
        assert second is not None

        supervisor.terminate()
        assert supervisor.wait(timeout=60) == 0
    assert second.is_alive()
    stop(second)
    assert remembered(pid_file(places, "sleeper")) is None


def _other_than(first: Running, places: Places) -> Running | None:
    found = all_of(places)["sleeper"]
    return None if found == first else found


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:8470", ("::1", 8470)), ("localhost:0", ("localhost", 0))],
)
def test_an_address_to_listen_on_is_a_host_and_a_port(listen: str, expected: tuple[str, int]) -> None:
    assert address(listen) == expected


@pytest.mark.parametrize("listen", ["", "80", ":80", "host", "host:", "host:port", "host:70000"])
def test_anything_else_is_refused_with_an_example(listen: str) -> None:
    with pytest.raises(InvalidInput, match="HOST:PORT"):
        address(listen)
