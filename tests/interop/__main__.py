"""`make interop`: OpenStack's own acceptance tests (Tempest), unmodified, against a cloud made for them.

    python -m tests.interop                        every set, in the order of `sets.toml`
    python -m tests.interop identity               one set
    python -m tests.interop identity --only trusts the tests of it whose names match

Exit status 1 when a test fails or is skipped that `sets.toml` gives no reason for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.clouds import Cloud, embedded
from tests.interop import image_files, tempest
from tests.interop.configuration import settings, write
from tests.interop.report import Report, show
from tests.interop.sets import SETS
from tests.interop.site import site


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], help="only these; all by default")
    parser.add_argument("--only", default="", help="regular expression that a test's name must match")
    options = parser.parse_args()
    tempest.install()
    names = options.sets or list(SETS)
    reports = tested([name for name in names if not SETS[name].cloud], options.only, {})
    for name in names:
        reports += tested([name], options.only, SETS[name].cloud) if SETS[name].cloud else []
    show(reports, whole_sets=not options.only)
    return int(any(report.surprises for report in reports))


def tested(names: Sequence[str], only: str, more: Mapping[str, str]) -> list[Report]:
    """These sets against one cloud, which has these options more than the usual one."""
    if not names:
        return []
    with (
        tempfile.TemporaryDirectory(prefix="pileus-interop-") as folder,
        site(Path(folder) / "site") as port,
        embedded(Path(folder) / "data", **settings(Path(folder), port), **more) as cloud,
    ):
        return [run(cloud, Path(folder), name, only, port) for name in names]


def run(cloud: Cloud, folder: Path, name: str, only: str, site_port: int) -> Report:
    workspace = folder / name
    workspace.mkdir()
    wanted = SETS[name]
    manifest = image_files.write(workspace / "files") if wanted.image_files else None
    write(workspace / "tempest.conf", cloud, wanted, site_port, manifest)
    return Report(name, wanted.exceptions, tempest.run(workspace, wanted, only))


if __name__ == "__main__":
    sys.exit(main())
