"""C8 and K14 at the edge: what is too much is refused at once, in little memory, and leaves short lines in the log."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.contract.gateway.test_streaming import forget_peak, peak_growth_mib
from tests.unit.gateway.running import CHUNK, Gateway, received

HALF_A_BODY = b"POST /compute/sink HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na"


def hundred_megabytes() -> Iterator[bytes]:
    for _ in range(1600):
        yield CHUNK


def test_a_body_of_100_mb_is_refused_by_its_length_alone(gateway: Gateway) -> None:
    before = forget_peak()

    raw = gateway.raw(
        b"POST /compute/sink HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\nExpect: 100-continue\r\n\r\n"
    )

    assert raw.startswith(b"HTTP/1.1 413 ")
    assert gateway.upstream.received_bytes == 0
    assert peak_growth_mib(before) < 10


def test_a_body_of_100_mb_without_a_length_is_refused_on_the_way(gateway: Gateway) -> None:
    before = forget_peak()

    answer = httpx.post(f"{gateway.url}/compute/sink", content=hundred_megabytes(), timeout=60)

    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "Request is too large."
    assert gateway.upstream.received_bytes <= 1_048_576
    assert peak_growth_mib(before) < 10


def test_a_client_that_sends_all_before_it_reads_still_gets_the_refusal(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
        client.sendall(b"POST /compute/sink HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (400 * len(CHUNK)))
        for _ in range(400):
            client.sendall(CHUNK)

        assert received(client).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /compute/" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /compute/x?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /compute/x HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 10_000 + b"\r\n\r\n", 431),
        (b"GET /compute/x HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 60 + b"\r\n", 431),
        (b"GET /compute/x HTTP/1.1\r\nHost: a\r\n" + b"a" * 10_000 + b": b\r\n\r\n", 431),
    ],
    ids=["long path", "long query", "long value", "many headers", "long name"],
)
def test_too_long_a_head_is_refused_in_json(gateway: Gateway, request_bytes: bytes, status: int) -> None:
    raw = gateway.raw(request_bytes)

    assert raw.startswith(f"HTTP/1.1 {status} ".encode())
    assert f'"code":{status}'.encode() in raw


def test_headers_without_end_are_cut_off_in_little_memory(gateway: Gateway) -> None:
    before = forget_peak()

    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
        client.sendall(b"GET /compute/x HTTP/1.1\r\nHost: a\r\nX-A: ")
        with pytest.raises(OSError):
            for _ in range(1600):
                client.sendall(CHUNK)

    assert peak_growth_mib(before) < 10


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /compute/x HTT",
        b"GET /compute/x HTTP/1.1\r\nHost: a\r\n",
        HALF_A_BODY,
    ],
    ids=["nothing", "half a line", "no end of headers", "half a body"],
)
def test_a_client_that_does_not_go_on_is_let_go(hasty: Gateway, begun: bytes) -> None:
    started = time.monotonic()

    hasty.raw(begun, timeout_s=60)

    assert time.monotonic() - started < 50


def test_a_client_that_sends_a_header_now_and_then_is_let_go_as_well(hasty: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=60) as client:
        client.sendall(b"GET /compute/x HTTP/1.1\r\nHost: a\r\n")
        client.settimeout(0.2)
        until = time.monotonic() + 60
        with pytest.raises((ConnectionError, BrokenPipeError)):
            while time.monotonic() < until:
                client.sendall(b"X-A: b\r\n")
                try:
                    if client.recv(1) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    continue


def test_giant_names_leave_short_lines_in_the_log(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gateway")

    httpx.get(f"{gateway.url}/{'x' * 1900}")

    told = [record for record in caplog.records if record.name == "gateway"]
    assert told and all(
        len(str(value)) <= 256 for record in told for value in vars(record).values() if isinstance(value, str)
    )
