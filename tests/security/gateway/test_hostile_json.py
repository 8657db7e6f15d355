"""C8 through the gateway to a real service: bodies made to break parsers are refused quickly, and the cloud goes on."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from common.bus.memory import MemoryBus
from common.http.inprocess import Inside
from common.process import Surroundings
from services.identity.main import build
from tests.conftest import a_platform
from tests.contract.gateway.test_streaming import forget_peak, peak_growth_mib
from tests.unit.gateway.running import gateway_in_front_of, limits

HOSTILE = {
    "nested lists": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a key twice": b'{"auth": {}, "auth": {}}',
    "NaN": b'{"auth": NaN}',
    "beyond doubles": b'{"auth": 1e400}',
    "a long number": b'{"auth": ' + b"9" * 500_000 + b"}",
    "half a surrogate": b'{"auth": {"identity": {"methods": ["\\ud800"]}}}',
    "not UTF-8": b'{"auth": "\xff\xfe"}',
    "a gzip bomb": gzip.compress(b" " * 50_000_000),
    "nothing": b"",
}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a gateway before the real identity service."""
    folder: Path = tmp_path_factory.mktemp("identity")
    settings = folder / "pileus.toml"
    settings.write_text(f'[identity]\ndatabase_url = "sqlite:///{folder}/identity.sqlite"\n')
    inside, bus = Inside(), MemoryBus()
    part = build(Surroundings(platform=a_platform(), settings_file=settings, bus=bus, inside=inside))
    assert part.app is not None
    inside.add("identity", part.app)
    part.start()
    with gateway_in_front_of({"identity": part.app}, limits()) as port:
        yield f"http://127.0.0.1:{port}/identity"
    part.stop()
    bus.close()
    inside.close()


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_refused_and_costs_little(identity: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    if body.startswith(b"\x1f\x8b"):
        headers["Content-Encoding"] = "gzip"
    before, started = forget_peak(), time.process_time()

    answer = httpx.post(f"{identity}/v3/auth/tokens", content=body, headers=headers)

    assert answer.status_code in (400, 413)
    assert time.process_time() - started < 3
    assert peak_growth_mib(before) < 10
    assert "Traceback" not in answer.text
    assert httpx.get(f"{identity}/v3").status_code == 200
