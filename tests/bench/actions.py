"""What a server's owner waits for when it is stopped, started, paused or rebooted: the answer, on simulated hosts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

from tests.bench.boots import Platform
from tests.bench.load import percentiles
from tests.bench.report import Figure, within
from tests.harness.clouds import Cloud
from tests.harness.waiting import until

TIMES = 20
# fmt: off
ACTIONS = (  # in an order in which each may follow the one before
    ("stop",    {"os-stop": None}),
    ("start",   {"os-start": None}),
    ("pause",   {"pause": None}),
    ("unpause", {"unpause": None}),
    ("reboot",  {"reboot": {"type": "HARD"}}),
)
# fmt: on


def measure(cloud: Cloud) -> list[Figure]:
    platform = Platform(cloud)
    server_id = platform.post(f"acted-{uuid4().hex[:6]}")
    assert platform.wait(server_id, {"ACTIVE", "ERROR"}) == "ACTIVE"
    taken: dict[str, list[float]] = {name: [] for name, _ in ACTIONS}
    for _ in range(TIMES):
        for name, body in ACTIONS:
            taken[name].append(answered_s(platform, server_id, body))
    return [within(f"{name} answered, p50", _p50_ms(taken[name]), 25, "ms") for name, _ in ACTIONS]


def answered_s(platform: Platform, server_id: str, body: object) -> float:
    """Seconds to the answer; what was asked for is done when this returns."""
    began = time.perf_counter()
    platform.http.post(f"/servers/{server_id}/action", json=body).raise_for_status()
    took = time.perf_counter() - began
    until(lambda: _task(platform, server_id) is None, every_s=0.005, what="the end of the task")
    return took


def _task(platform: Platform, server_id: str) -> str | None:
    answer = platform.http.get(f"/servers/{server_id}").json()
    found: str | None = answer["server"]["OS-EXT-STS:task_state"]
    return found


def _p50_ms(taken_s: Sequence[float]) -> float:
    return percentiles(list(taken_s))[0]
