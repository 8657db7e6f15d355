"""Whole clouds to attack: one with simulated hosts for most tests, one with real guests where it takes a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.clouds import Cloud, embedded
from tests.security.platform.people import Person, Town, town_of


@pytest.fixture(scope="package")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the cloud with simulated hosts: empty, unless a test writes into it for a while."""
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text("")
    return file


@pytest.fixture(scope="package")
def simulated(tmp_path_factory: pytest.TempPathFactory, policy_file: Path) -> Iterator[Cloud]:
    data, options = tmp_path_factory.mktemp("simulated") / "data", {"PILEUS_PLATFORM_POLICY_FILE": str(policy_file)}
    with embedded(data, PILEUS_AGENT_DRIVER="simulated", PILEUS_AGENT_SIMULATED_HOSTS="2", **options) as cloud:
        yield cloud


@pytest.fixture(scope="package")
def town(simulated: Cloud) -> Iterator[Town]:
    with town_of(simulated) as town:
        yield town


@pytest.fixture(scope="package")
def alice(town: Town) -> Person:
    """Whose things are attacked."""
    return town.stranger()


@pytest.fixture(scope="package")
def bob(town: Town) -> Person:
    """Who attacks: an ordinary member of another project."""
    return town.stranger()


@pytest.fixture(scope="package")
def real(libvirtd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Guests of this cloud are guests of libvirt; TMPDIR is a folder that nobody else uses."""
    with embedded(tmp_path_factory.mktemp("real") / "data", TMPDIR=str(tmp_path_factory.mktemp("temporary"))) as cloud:
        yield cloud


@pytest.fixture(scope="package")
def real_town(real: Cloud) -> Iterator[Town]:
    with town_of(real) as town:
        yield town
