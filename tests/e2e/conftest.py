"""Both modes are first-class: the same tests run against an embedded and a distributed cloud.

A cloud and its tests stay together in one of pytest's processes, beside another with its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.harness.clouds import Cloud, distributed, embedded
from tests.harness.openstack_shell import Shell, shell_of

MODES = ("embedded", "distributed")


class ByCloud(LoadScopeScheduling):  # type: ignore[misc]
    """Which tests go to the same process: pytest-xdist's own way to say so does not know this pytest yet."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        mode = next((one for one in MODES if one in test.partition("[")[2]), None)
        return mode or (nodeid if "fire" in file else "two hosts")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ByCloud(config, log)


@pytest.fixture(scope="session", params=MODES)
def cloud(request: pytest.FixtureRequest, libvirtd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that all tests share which do it no harm.

    The distributed one is on quorum queues, as a cluster of brokers would have them; those under attack and under fire are
    on classic ones.
    """
    data = tmp_path_factory.mktemp(request.param) / "data"
    with embedded(data) if request.param == "embedded" else distributed(data, "--queue-type", "quorum") as cloud:
        assert ('bus_queue_type = "quorum"' in (data / "pileus.toml").read_text()) == cloud.is_distributed
        yield cloud


@pytest.fixture(scope="session")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An embedded cloud for what operators do with hosts: these are simulated, since no guest has to be real for it."""
    data = tmp_path_factory.mktemp("two-hosts") / "data"
    with embedded(data, PILEUS_AGENT_DRIVER="simulated", PILEUS_AGENT_SIMULATED_HOSTS="2") as cloud:
        yield cloud


@pytest.fixture(scope="session")
def admin(two_hosts: Cloud) -> Iterator[Shell]:
    with shell_of(two_hosts) as shell:
        yield shell


@pytest.fixture(scope="session")
def demo(two_hosts: Cloud) -> Iterator[Shell]:
    with shell_of(two_hosts, "pileus") as shell:
        yield shell


@pytest.fixture
def name() -> str:
    """Of something new."""
    return f"new-{uuid4().hex[:8]}"
