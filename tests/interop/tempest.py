"""Tempest in a virtual environment of its own, and its results as plain values."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from tests.conftest import ROOT
from tests.interop.sets import Set

FOLDER = Path(__file__).parent
VENV = ROOT / ".cache" / "interop" / "venv"
LONGEST_S = 3 * 3600


@dataclass(frozen=True, slots=True)
class Result:
    test: str
    status: str  # success, fail, skip, xfail, uxsuccess
    told: str  # the reason of a skip, the end of a failure's traceback
    seconds: float

    @property
    def tests_class(self) -> str:
        """The class that it belongs to, or whose beginning or end it is: tempest.api.….TheClass"""
        of_class = re.fullmatch(r"(?:setUp|tearDown)Class \((.+)\)", self.test)
        return of_class[1] if of_class else re.split(r"[\[(]", self.test)[0].rpartition(".")[0]


def install() -> None:
    """From the lock; nothing to do when that has not changed."""
    lock = FOLDER / "requirements.lock"
    mark, digest = VENV / ".installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [
        str(VENV / "bin/pip"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        str(lock),
    ]
    subprocess.run(pip, check=True)
    mark.write_text(digest)


def run(workspace: Path, wanted: Set, only: str) -> list[Result]:
    """Runs the tests in `workspace`, which holds `tempest.conf`; prints as they end."""
    python, stream = str(VENV / "bin/python"), workspace / "results.subunit"
    (workspace / ".stestr.conf").write_text(f"[DEFAULT]\ntest_path={_tests()}\ntop_dir={_tests().parent.parent}\n")
    _run(workspace, "stestr", "init")
    names = _chosen(workspace, wanted, only)
    (workspace / "chosen").write_text("\n".join(names) + "\n")
    print(f"{len(names)} tests", flush=True)  # noqa: T201
    with stream.open("wb") as file:
        many = str(wanted.concurrency)
        _run(workspace, "tempest", "run", "--load-list", "chosen", "--concurrency", many, "--subunit", stdout=file)
    told = subprocess.run([python, str(FOLDER / "results.py"), str(stream)], check=True, capture_output=True, text=True)
    return complete(names, [Result(**one) for one in json.loads(told.stdout)])


def complete(names: Sequence[str], results: Sequence[Result]) -> list[Result]:
    """One result for each of these tests, and for each class whose end failed.

    Where the beginning of a class was skipped or failed, Tempest tells of that alone: the tests of the class get the same result.
    """
    begins = {one.tests_class: one for one in results if one.test.startswith("setUpClass ")}
    whole = [one for one in results if not one.test.startswith("setUpClass ")]
    missing = [Result(name, "fail", "It did not run.", 0) for name in names if name not in {one.test for one in whole}]
    return whole + [replace(begins.get(one.tests_class, one), test=one.test, seconds=0) for one in missing]


def _chosen(workspace: Path, wanted: Set, only: str) -> list[str]:
    listed = _run(workspace, "tempest", "run", "--list-tests", "--regex", wanted.tests)
    names = [line.strip() for line in listed.decode().splitlines() if line.startswith("tempest.")]
    excluded = re.compile(wanted.exclude) if wanted.exclude else None
    return [name for name in names if re.search(only, name) and not (excluded and excluded.search(name))]


def _tests() -> Path:
    """Where Tempest's tests are installed."""
    [found] = VENV.glob("lib/python*/site-packages/tempest/test_discover")
    return found


def _run(workspace: Path, command: str, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE) -> bytes:
    environment = {
        "PATH": f"{VENV / 'bin'}:/usr/bin:/bin",
        "HOME": str(workspace),
        "TEMPEST_CONFIG_DIR": str(workspace),
    }
    done = subprocess.run(
        [str(VENV / "bin" / command), *arguments],
        cwd=workspace, env=environment, stdout=stdout, stderr=subprocess.PIPE, timeout=LONGEST_S, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode()[-4000:])
    return done.stdout or b""
