"""Bytes pass the gateway as they come, both ways, and a broken transfer never looks like a whole one."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.harness.waiting import until
from tests.unit.gateway.running import CHUNK, Gateway, received

BIG_CHUNKS = 3200  # 200 MiB
MIB = 1 << 20


def peak_growth_mib(before_kib: int) -> float:
    return (_status("VmHWM") - before_kib) / 1024


def forget_peak() -> int:
    """KiB that this process holds now; the peak starts again from here, proc(5) clear_refs."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield CHUNK


@pytest.mark.parametrize("sized", [True, False], ids=["with a length", "chunked"])
def test_a_big_upload_arrives_whole_in_constant_memory(gateway: Gateway, sized: bool) -> None:
    headers = {"Content-Length": str(BIG_CHUNKS * len(CHUNK))} if sized else {}
    before = forget_peak()

    answer = httpx.put(f"{gateway.url}/image/v2/images/1/file", content=pieces(BIG_CHUNKS), headers=headers, timeout=60)

    digest = hashlib.sha256()
    for piece in pieces(BIG_CHUNKS):
        digest.update(piece)
    assert answer.json() == {"bytes": BIG_CHUNKS * len(CHUNK), "sha256": digest.hexdigest()}
    assert peak_growth_mib(before) < 40


@pytest.mark.parametrize("sized", ["&sized=1", ""], ids=["with a length", "chunked"])
def test_a_big_download_arrives_whole_in_constant_memory(gateway: Gateway, sized: str) -> None:
    count, before = 0, forget_peak()

    with httpx.stream("GET", f"{gateway.url}/image/source?chunks={BIG_CHUNKS}{sized}", timeout=60) as answer:
        for piece in answer.iter_raw(1 << 18):
            count += len(piece)

    assert count == BIG_CHUNKS * len(CHUNK)
    assert ("content-length" in answer.headers) == bool(sized)
    assert peak_growth_mib(before) < 40


def test_a_client_that_does_not_read_stops_the_service_from_sending(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
        client.sendall(
            f"GET /image/source?chunks={BIG_CHUNKS}&sized=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        until(lambda: gateway.upstream.sent_bytes > 0, what="the service sends")
        settled = _settled(gateway)

        assert settled < 64 * MIB

        body = received(client).split(b"\r\n\r\n", 1)[1]
    assert len(body) == BIG_CHUNKS * len(CHUNK)


def _settled(gateway: Gateway) -> int:
    """Bytes that the service has sent, once they grow no more."""
    seen: list[int] = []

    def is_still() -> bool:
        seen.append(gateway.upstream.sent_bytes)
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    until(is_still, what="the service stops sending")
    return seen[-1]


def test_a_service_that_does_not_read_stops_the_client_from_sending(gateway: Gateway) -> None:
    sent = 0

    with socket.create_connection(("127.0.0.1", gateway.port), timeout=1) as client:
        client.sendall(b"PUT /image/v2/images/2/file HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        with suppress(TimeoutError):
            while sent < 512 * MIB:
                sent += client.send(CHUNK)
    gateway.upstream.may_read.set()

    assert sent < 64 * MIB


def test_the_service_hears_that_a_downloading_client_left(gateway: Gateway) -> None:
    with httpx.stream("GET", f"{gateway.url}/compute/endless") as answer:
        assert next(answer.iter_raw()) == b"first"

    until(gateway.upstream.client_left.is_set, what="the service hears of it")


def test_the_service_hears_that_an_uploading_client_left(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
        client.sendall(
            b"PUT /image/v2/images/1/file HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000
        )
        until(lambda: gateway.upstream.received_bytes > 0, what="the upload has begun")

    until(gateway.upstream.client_left.is_set, what="the service hears of it")


def test_an_answer_that_breaks_off_is_cut_and_never_looks_complete(gateway: Gateway) -> None:
    raw = gateway.raw(b"GET /compute/half HTTP/1.1\r\nHost: a\r\n\r\n")

    assert raw.startswith(b"HTTP/1.1 200") and b"half" in raw
    assert not raw.endswith(b"0\r\n\r\n")


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
        client.sendall(
            b"PUT /image/v2/images/1/file HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"abc")

        assert b'"bytes": 3' in received(client)
