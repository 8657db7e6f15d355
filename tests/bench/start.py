"""Starting: the command's own help, and a cloud that was there before."""

from __future__ import annotations

import time

from tests.bench.load import timed
from tests.bench.report import Figure, within
from tests.harness.clouds import BIN, Cloud, run


def measure(cloud: Cloud) -> list[Figure]:
    help_ms, _ = timed(lambda: run(str(BIN / "pileus"), "--help"), times=5)
    cloud.pileus("down")
    began = time.perf_counter()
    cloud.pileus("up", "--listen", cloud.listen, "--detach")
    again_s = time.perf_counter() - began
    cloud.pileus("demo")
    demo_s = time.perf_counter() - began
    cloud.openstack("server", "delete", "--wait", "demo")
    return [
        within("pileus --help", help_ms, 150, "ms"),
        within("pileus up, again", again_s, 10, "s"),
        within("make demo, again (up and a guest at its login prompt)", demo_s, 10, "s"),
    ]
