"""Reading: one server, a thousand with details, at 1, 8 and 32 clients."""

from __future__ import annotations

from tests.bench.boots import boot_many, forget_quota
from tests.bench.load import Request
from tests.bench.load import measure as load
from tests.bench.report import Figure, told, within
from tests.harness.clouds import Cloud

SERVERS = 1000


def measure(cloud: Cloud) -> list[Figure]:
    forget_quota(cloud)
    have = [server.id for server in cloud.sdk().compute.servers(details=False)]
    boot_many(cloud, max(0, SERVERS - len(have)))
    one = have[0] if have else next(iter(cloud.sdk().compute.servers(details=False))).id
    headers = {"x-auth-token": cloud.sdk().authorize()}
    shown = f"/compute/v2.1/servers/{one}"
    listed = f"/compute/v2.1/servers/detail?limit={SERVERS}"
    figures = [
        within("GET one server, p50", load(cloud.url, headers, getting(shown)).p50_ms, 5, "ms"),
        within("list 1 000 servers with details, p50", load(cloud.url, headers, getting(listed)).p50_ms, 80, "ms"),
    ]
    for clients in (8, 32):
        result = load(cloud.url, headers, getting(shown), clients=clients)
        figures.append(
            told(
                f"GET one server, {clients} clients",
                f"{result.per_s:.0f}/s, p50 {result.p50_ms:.3g} ms, p95 {result.p95_ms:.3g} ms, {result.failed} failed",
            )
        )
    return figures


def getting(path: str) -> Request:
    """Ask for one path, and read all of the answer."""
    return lambda client: client.get(path)
