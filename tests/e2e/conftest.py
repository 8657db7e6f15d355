"""Both modes are first-class: the same tests run against an embedded and a distributed cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.harness.clouds import Cloud, distributed, embedded


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that the tests of one module share."""
    if not Path("/usr/sbin/libvirtd").exists():
        missing("libvirt")
    start = embedded if request.param == "embedded" else distributed
    with start(tmp_path_factory.mktemp(request.param) / "data") as cloud:
        yield cloud
