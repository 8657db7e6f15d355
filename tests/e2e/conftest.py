"""Both modes are first-class: the same tests run against an embedded and a distributed cloud."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.clouds import Cloud, distributed, embedded


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def cloud(request: pytest.FixtureRequest, libvirtd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that the tests of one module share."""
    start = embedded if request.param == "embedded" else distributed
    with start(tmp_path_factory.mktemp(request.param) / "data") as cloud:
        yield cloud
