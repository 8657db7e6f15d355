"""What is generated is what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def test_the_generated_tables_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("adr", ADRS, ids=lambda adr: adr.stem)
def test_each_decision_tells_context_decision_alternatives_and_consequences(adr: Path) -> None:
    written = adr.read_text()

    assert all(f"## {part}" in written for part in ("Context", "Decision", "Rejected", "Consequences"))


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(adr.name[:4]) for adr in ADRS] == list(range(1, len(ADRS) + 1))


@pytest.mark.parametrize("service", ["identity", "image", "compute", "api-gateway"])
def test_each_service_introduces_itself(service: str) -> None:
    assert (ROOT / "services" / service / "README.md").stat().st_size > 500
