"""What the tests of `deploy/` share: the repository's folder, and one guest image for all of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture(scope="session")
def deploy() -> Path:
    return DEPLOY


@pytest.fixture(scope="session")
def guest_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("guest-image") / "guest.qcow2"
    subprocess.run([DEPLOY / "guest-image/build.sh", image], check=True, timeout=300)
    return image
