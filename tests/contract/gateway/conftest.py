"""The gateway before services of its own process, and before services elsewhere: clients must not see a difference."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.gateway.running import Gateway, a_gateway


@pytest.fixture(params=["embedded", "distributed"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(mode: str) -> Iterator[Gateway]:
    with a_gateway(mode) as running:
        yield running
