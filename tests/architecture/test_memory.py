"""What a service's process must not load: each costs every process of every cloud several MiB."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

HEAVY = ("alembic", "boto3", "openstack", "pydantic.v1.main", "pygments", "rich", "websockets")
WORKER = "services.compute.main, services.compute.worker.answers, services.compute.worker.housekeeping"
MODULES = (  # what each process imports
    "services.identity.main", "services.image.main", "services.compute.main, services.compute.api.app",
    "services.compute.main, services.compute.api.placement.app", WORKER, "services.compute.agent.main",
    "services.compute.console.app", "api_gateway.main", "cli.servers",
)  # fmt: skip


def loaded_by(modules: str, *looked_for: str) -> list[str]:
    told = f"import sys, {modules}; print(*(name for name in {looked_for} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("modules", MODULES)
def test_a_process_loads_nothing_heavy_that_it_does_not_use(modules: str) -> None:
    assert loaded_by(modules, *HEAVY) == []


def test_compute_s_worker_does_not_load_its_apis() -> None:
    assert loaded_by(WORKER, "fastapi", "services.compute.api.app") == []
