"""The gateway under attack, before services of its own process and before services elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.gateway.running import Gateway, a_gateway, limits

SMALL = {"url_bytes": 2048, "header_bytes": 8192, "header_count": 50}


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def attacked(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with a_gateway(request.param, limits(**SMALL)) as running:
        yield running


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def hasty(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """Lets clients go that do not go on: also one that is held up by a busy machine, so for tests of that alone."""
    with a_gateway(request.param, limits(**SMALL, header_timeout_s=1, idle_timeout_s=1.5)) as running:
        yield running


@pytest.fixture
def gateway(attacked: Gateway) -> Gateway:
    attacked.upstream.forget()
    return attacked
