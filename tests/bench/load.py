"""A small load generator over the public API: warmed up, closed loop, one connection a client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles

import httpx


@dataclass(frozen=True, slots=True)
class Result:
    """What a run showed: times are in milliseconds."""

    clients: int
    p50_ms: float
    p95_ms: float
    per_s: float
    failed: int


Request = Callable[[httpx.Client], httpx.Response]


def measure(url: str, headers: dict[str, str], request: Request, *, clients: int = 1, seconds: float = 3.0) -> Result:
    """Let `clients` threads repeat `request` for so long, after half a second of warming up."""
    taken: list[float] = []
    failed = 0
    lock, start = threading.Lock(), time.monotonic() + 0.5

    def repeat() -> None:
        nonlocal failed
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
            while (now := time.monotonic()) < start + seconds:
                began = time.perf_counter()
                answer = request(client)
                took = time.perf_counter() - began
                with lock:
                    if now >= start:
                        taken.append(took)
                        failed += answer.is_error

    threads = [threading.Thread(target=repeat) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p95 = percentiles(taken)
    return Result(clients, p50, p95, len(taken) / seconds, failed)


def percentiles(taken_s: list[float]) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    if len(taken_s) < 2:
        return (taken_s[0] * 1000,) * 2 if taken_s else (0.0, 0.0)
    cuts = quantiles(taken_s, n=20)
    return cuts[9] * 1000, cuts[18] * 1000


def timed(work: Callable[[], object], *, times: int) -> tuple[float, float]:
    """p50 and p95 in milliseconds of doing `work` so often, after once unmeasured."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return percentiles(taken)
