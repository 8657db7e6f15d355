"""What a service's process must not load: each costs every process of every cloud several MiB."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

HEAVY = ("alembic", "boto3", "openstack", "pygments", "rich")


@pytest.mark.parametrize("service", ["identity", "image", "compute"])
def test_a_service_loads_nothing_heavy_that_it_does_not_use(service: str) -> None:
    told = f"import sys, services.{service}.main; print(*(name for name in {HEAVY} if name in sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []
