"""`make bench`: measure the budgets of docs/SPECIFICATION.md on this machine.

The machine is noisy: compare ratios within one run, not runs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from tests.bench import (
    actions,
    boots,
    bytes_moved,
    consoles,
    identity,
    images,
    memory,
    reads,
    scheduling,
    snapshots,
    start,
)
from tests.bench.report import Figure, show
from tests.conftest import ROOT
from tests.harness.clouds import distributed, embedded

PARTS = (
    *("identity", "large-identity", "large-images", "reads", "many-servers", "actions", "scale", "boots", "bytes"),
    *("snapshots", "consoles", "scheduling", "memory", "start"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="only these; all by default")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    wanted = set(options.parts or PARTS)
    keep_bytecode()
    with tempfile.TemporaryDirectory(prefix="pileus-bench-") as folder:
        show(measure(Path(folder), wanted), file=options.json)


def keep_bytecode() -> None:
    """As on a user's machine: compiling all modules at each start would add to every start, and to memory."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".cache/bytecode")


def measure(folder: Path, wanted: set[str]) -> list[Figure]:
    figures: list[Figure] = []
    if wanted & {"identity", "boots", "bytes", "snapshots", "memory", "start"}:
        with embedded(folder / "real") as cloud:
            figures += identity.measure(cloud) if "identity" in wanted else []
            figures += memory.measure(cloud) if "memory" in wanted else []
            figures += boots.measure(cloud) + boots.measure_first(cloud) if "boots" in wanted else []
            figures += bytes_moved.measure(cloud, folder) if "bytes" in wanted else []
            figures += snapshots.measure(cloud, folder) if "snapshots" in wanted else []
            figures += start.measure(cloud) if "start" in wanted else []
    if wanted & {"reads", "actions", "many-servers", "scale"}:
        with embedded(folder / "simulated", **reads.SIMULATED) as cloud:
            figures += boots.measure_many(cloud) if "scale" in wanted else []
            figures += actions.measure(cloud) if "actions" in wanted else []
            figures += reads.measure(cloud) if wanted & {"reads", "many-servers"} else []
            figures += reads.measure_behind(cloud) if "many-servers" in wanted else []
    if "large-identity" in wanted:
        with embedded(folder / "large", PILEUS_AGENT_DRIVER="simulated") as cloud:
            figures += identity.measure_large(cloud)
    if "large-images" in wanted:
        with embedded(folder / "images", PILEUS_AGENT_DRIVER="simulated") as cloud:
            figures += images.measure(cloud)
    if "consoles" in wanted:
        figures += consoles.measure()
    if "scheduling" in wanted:
        figures += scheduling.measure(folder)
    if "memory" in wanted:
        with distributed(folder / "distributed") as cloud:
            figures += memory.measure_processes(cloud)
    return figures


if __name__ == "__main__":
    main()
