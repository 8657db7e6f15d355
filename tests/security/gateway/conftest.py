"""The gateway under attack, before services of its own process and before services elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.gateway.running import Gateway, a_gateway, limits


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def attacked(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    settings = limits(header_timeout_s=1, idle_timeout_s=1.5, url_bytes=2048, header_bytes=8192, header_count=50)
    with a_gateway(request.param, settings) as running:
        yield running


@pytest.fixture
def gateway(attacked: Gateway) -> Gateway:
    attacked.upstream.forget()
    return attacked
