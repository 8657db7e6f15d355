"""`make interop`: OpenStack's own acceptance tests (Tempest), unmodified, against a cloud made for them.

    python -m tests.interop                        every set, in the order of `sets.toml`
    python -m tests.interop identity               one set
    python -m tests.interop identity --only trusts the tests of it whose names match

Exit status 1 when a test fails or is skipped that `exceptions.toml` gives no reason for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.harness.clouds import Cloud, embedded
from tests.interop import tempest
from tests.interop.configuration import SETTINGS, write
from tests.interop.report import Report
from tests.interop.sets import SETS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], help="only these; all by default")
    parser.add_argument("--only", default="", help="regular expression that a test's name must match")
    options = parser.parse_args()
    tempest.install()
    with (
        tempfile.TemporaryDirectory(prefix="pileus-interop-") as folder,
        embedded(Path(folder) / "data", **SETTINGS) as cloud,
    ):
        reports = [run(cloud, Path(folder), name, options.only) for name in options.sets or SETS]
    for report in reports:
        report.show()
    return int(any(report.surprises for report in reports))


def run(cloud: Cloud, folder: Path, name: str, only: str) -> Report:
    workspace = folder / name
    workspace.mkdir()
    wanted = SETS[name]
    write(workspace / "tempest.conf", cloud, wanted)
    return Report(name, wanted.exceptions, tempest.run(workspace, wanted, only))


if __name__ == "__main__":
    sys.exit(main())
