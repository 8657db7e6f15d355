"""Services in other processes come and go; a client gets a clear refusal or a cut connection, never half an answer as a whole."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api_gateway.edge import Edge
from api_gateway.own import Own
from api_gateway.protocol import bounded_by
from api_gateway.proxy import Proxy
from tests.conftest import a_platform, free_port
from tests.harness.waiting import until
from tests.unit.gateway.running import limits, served

ROOT = Path(__file__).parents[3]


@contextmanager
def service(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An `Upstream` as a process of its own."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "tests.unit.gateway.running:Upstream", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "critical", "--timeout-keep-alive", "1"], cwd=ROOT)
    try:
        until(lambda: _accepts(port), what="the service listens")
        yield process
    finally:
        process.kill()
        process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def behind() -> int:
    return free_port()


@pytest.fixture
def url(behind: int) -> Iterator[str]:
    """A gateway before a service that is not there yet."""
    settings = limits(answer_timeout_s=2)
    proxy = Proxy("compute", f"http://127.0.0.1:{behind}", settings)
    edge = Edge(settings, {"compute": proxy}, Own(a_platform(), {"compute": proxy}), (proxy.close,))
    with served(edge, bounded_by(settings)) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_service_that_is_down_is_unavailable_and_the_client_may_come_again(url: str) -> None:
    answer = httpx.post(f"{url}/compute/v2.1/servers", json={"server": {}})

    assert answer.status_code == 503 and answer.headers["retry-after"] == "2"
    assert answer.json()["error"]["message"] == "The compute service does not answer. Try again in a moment."
    assert httpx.get(f"{url}/readyz").json()["failing"].keys() == {"compute"}


def test_a_service_killed_in_the_middle_of_an_answer_cuts_the_connection(url: str, behind: int) -> None:
    with service(behind) as process, httpx.stream("GET", f"{url}/compute/endless", timeout=60) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"first"
        process.kill()

        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)


def test_a_service_killed_while_it_takes_an_upload_is_no_success(url: str, behind: int) -> None:
    with service(behind) as process:

        def body() -> Iterator[bytes]:
            yield b"x" * 1000
            process.kill()
            process.wait()
            yield b"x" * 1000

        answer = httpx.put(f"{url}/compute/sink", content=body(), timeout=60)

    assert answer.status_code == 503
    assert "The compute service does not answer" in answer.json()["error"]["message"]


def test_a_service_that_was_started_again_is_used_at_once(url: str, behind: int) -> None:
    with service(behind):
        assert httpx.get(f"{url}/compute/v2.1").status_code == 200
    with service(behind):
        assert httpx.get(f"{url}/compute/v2.1").status_code == 200


def test_a_service_that_keeps_silent_is_given_up(url: str, behind: int) -> None:
    with service(behind), httpx.stream("GET", f"{url}/compute/endless", timeout=60) as answer:
        pieces = answer.iter_raw()
        next(pieces)

        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
