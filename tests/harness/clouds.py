"""A whole cloud, used as its users do: by the `pileus` command, the `openstack` command and the public API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from tests.conftest import ROOT, free_port
from tests.harness.waiting import until

BIN = Path(sys.executable).parent


def run(*command: str, timeout_s: float = 300, environment: dict[str, str] | None = None, check: bool = True) -> str:
    """What the command printed.  AssertionError with all of it unless it succeeds."""
    done = subprocess.run(
        command,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=ROOT,
    )
    told = f"{' '.join(command)} -> {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    assert not check or done.returncode == 0, told
    return done.stdout


@dataclass
class Cloud:
    """One running cloud in a data directory of its own."""

    data: Path
    listen: str
    is_distributed: bool
    environment: dict[str, str] = field(default_factory=dict)  # of its processes: PILEUS_… options

    @property
    def url(self) -> str:
        return f"http://{self.listen}"

    @property
    def clouds_file(self) -> Path:
        return self.data / "clouds.yaml"

    def pileus(self, verb: str, *arguments: str, check: bool = True) -> str:
        command = (str(BIN / "pileus"), verb, "--data", str(self.data), *arguments)
        return run(*command, check=check, environment=self.environment)

    def pileus_image(self, verb: str, *arguments: str) -> str:
        return run(str(BIN / "pileus"), "image", verb, "--data", str(self.data), *arguments)

    def openstack(self, *arguments: str, cloud: str = "pileus", check: bool = True) -> str:
        """The unmodified client, as an ordinary member unless `cloud` says otherwise."""
        where = {"OS_CLIENT_CONFIG_FILE": str(self.clouds_file), "OS_CLOUD": cloud}
        return run(str(BIN / "openstack"), *arguments, environment=where, check=check)

    def openstack_json(self, *arguments: str, cloud: str = "pileus") -> Any:
        return json.loads(self.openstack(*arguments, "-f", "json", cloud=cloud))

    def sdk(self, cloud: str = "pileus") -> Connection:
        return Connection(config=OpenStackConfig(config_files=[str(self.clouds_file)]).get_one(cloud))

    def pids(self) -> dict[str, int]:
        """Process name -> pid, of those that live."""
        files = [*self.data.glob("run/*.pid"), *self.data.glob("pileus.pid")]
        found = {file.stem: pid_in(file) for file in files}
        return {name: pid for name, pid in found.items() if pid and Path(f"/proc/{pid}").exists()}

    def kill(self, name: str) -> int:
        """kill -9 one process; its pid."""
        pid = until(lambda: self.pids().get(name), what=f"the process {name}")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{pid}/exe").exists(), what=f"the end of {name}")
        return pid

    def domains(self) -> dict[str, str]:
        """UUID -> name of this cloud's libvirt domains, running or not."""
        cloud_id = self.cloud_id()
        names = self.virsh("list", "--all", "--name").split()
        ours = {}
        for name in names:
            described = self.virsh("dumpxml", name, check=False)
            if cloud_id in described:
                ours[described.split("<uuid>")[1].split("<")[0]] = name
        return ours

    def virsh(self, *command: str, check: bool = True) -> str:
        uri = self.environment.get("PILEUS_AGENT_LIBVIRT_URI", "qemu:///system")
        return run("virsh", "-q", "-c", uri, *command, check=check)

    def cloud_id(self) -> str:
        for line in (self.data / "pileus.toml").read_text().splitlines():
            if line.startswith("cloud_id"):
                return line.split('"')[1]
        raise AssertionError("pileus.toml names no cloud_id")


def pid_in(file: Path) -> int | None:
    """None while the process that it names is being replaced."""
    try:
        return int(file.read_text().split()[0])
    except (OSError, IndexError):
        return None


@contextmanager
def embedded(data: Path, **environment: str) -> Iterator[Cloud]:
    """A cloud in one process; `environment` are options such as PILEUS_AGENT_DRIVER."""
    cloud = Cloud(data, f"127.0.0.1:{free_port()}", False, environment)
    try:
        cloud.pileus("up", "--listen", cloud.listen, "--detach")
        yield cloud
    finally:
        put_away(cloud)


@contextmanager
def distributed(data: Path, *options: str, **environment: str) -> Iterator[Cloud]:
    """A cloud of separate processes on RabbitMQ and PostgreSQL; one libvirt host and one simulated."""
    port = free_port()
    cloud = Cloud(data, f"127.0.0.1:{port}", True, environment)
    try:
        command = (str(BIN / "pileus"), "distributed", "up", "--data", str(data), "--port", str(port), *options)
        run(*command, environment=environment)
        yield cloud
    finally:
        put_away(cloud)


def put_away(cloud: Cloud) -> None:
    """Nothing of the cloud is left, whatever the test did to it."""
    if (cloud.data / "pileus.toml").exists():
        cloud.pileus("down", "--purge", "--yes")
