"""The unmodified `openstack` command, many times in one process: a start of Python each would cost a second and a half.

Run as a program, it reads a command's arguments as a line of JSON and answers with its exit status and what it printed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.conftest import ROOT
from tests.harness.clouds import Cloud
from tests.harness.waiting import until

Process = subprocess.Popen[str]


@dataclass
class Shell:
    """Commands as one user of one cloud."""

    process: Process

    def attempt(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        status, out, err = json.loads(self.process.stdout.readline())
        return status, out, err

    def __call__(self, command: str, *arguments: str) -> str:
        """What `openstack command… arguments…` printed; `command` may hold several words.  AssertionError unless it succeeds"""
        status, out, err = self.attempt(*command.split(), *arguments)
        assert status == 0, f"openstack {command} {' '.join(arguments)} -> {status}\n{out}\n{err}"
        return out

    def json(self, command: str, *arguments: str) -> Any:
        return json.loads(self(command, *arguments, "-f", "json"))

    def refused(self, command: str, *arguments: str) -> str:
        """What it complained of."""
        status, out, err = self.attempt(*command.split(), *arguments)
        assert status != 0, f"openstack {command} {' '.join(arguments)} succeeded: {out}"
        return err


@contextmanager
def shell_of(cloud: Cloud, user: str = "pileus-admin", **environment: str) -> Iterator[Shell]:
    """`user` is an entry of the cloud's clouds.yaml; "" takes all from `environment` (OS_…)."""
    known = {"OS_CLIENT_CONFIG_FILE": str(cloud.clouds_file)} | ({"OS_CLOUD": user} if user else {}) | environment
    process = Process(
        [sys.executable, "-m", "tests.harness.openstack_shell"],
        env={key: value for key, value in os.environ.items() if not key.startswith("OS_")} | known,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield Shell(process)
    finally:
        with process:
            process.terminate()


def names(rows: list[dict[str, str]], column: str = "Name") -> set[str]:
    return {row[column] for row in rows}


def booted(shell: Shell, name: str, *more: str, flavor: str = "m1.tiny") -> dict[str, Any]:
    image = shell.json("image list")[0]["ID"]
    shell("server create --nic none --image", image, "--flavor", flavor, *more, name)
    return reached(shell, name, "ACTIVE")


def reached(shell: Shell, name: str, status: str) -> dict[str, Any]:
    """Once nothing is being done to it.  The command's own `--wait` looks every five seconds only."""
    shown: dict[str, Any] = {}

    def is_there() -> bool:
        shown.update(shell.json("server show", name))
        return shown["status"] == status and shown["OS-EXT-STS:task_state"] is None

    until(is_there, every_s=0.1, what=status)
    return shown


def gone(shell: Shell, name: str) -> None:
    """Deleted, and off its host."""
    shell("server delete", name)
    until(lambda: name not in names(shell.json("server list")), every_s=0.1, what="the server's end")


def serve() -> None:
    from openstackclient.shell import OpenStackShell

    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = _status(OpenStackShell(), json.loads(line))
        sys.stdout.write(json.dumps([status, out.getvalue(), err.getvalue()]) + "\n")
        sys.stdout.flush()


def _status(shell: Any, arguments: list[str]) -> int:
    try:
        return int(shell.run(arguments) or 0)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


if __name__ == "__main__":
    serve()
