"""Reading: one server, a thousand with details, at 1, 8 and 32 clients; and with a hundred thousand more behind them."""

from __future__ import annotations

from common.db.database import Database
from tests.bench.boots import boot_many, forget_quota
from tests.bench.load import Request
from tests.bench.load import measure as load
from tests.bench.report import Figure, told, within
from tests.bench.seed_servers import seed
from tests.harness.clouds import Cloud

SERVERS = 1000
BEHIND = 100_000
SIMULATED = {"PILEUS_AGENT_DRIVER": "simulated", "PILEUS_AGENT_SIMULATED_HOSTS": "10"}


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


def measure_behind(cloud: Cloud) -> list[Figure]:
    """How much longer the same takes with many more servers, half of them in the same project.  They stay in the cloud."""
    before = reads_ms(cloud)
    cloud.pileus("down")
    [file] = cloud.data.rglob("compute.sqlite")
    database = Database(f"sqlite:///{file}")
    seed(database, BEHIND)
    database.close()
    cloud.pileus("up", "--listen", cloud.listen, "--detach")
    after = reads_ms(cloud)
    return [
        within(
            f"{what}, {BEHIND:,} more behind to none", after[what] / before[what], 1.2, "x", f" ({after[what]:.3g} ms)"
        )
        for what in before
    ]


def reads_ms(cloud: Cloud) -> dict[str, float]:
    """p50 of each."""
    sdk = cloud.sdk()
    headers = {"x-auth-token": sdk.authorize()}
    one = next(iter(sdk.compute.servers(details=False, limit=1, paginated=False))).id
    paths = {
        "one server": f"/compute/v2.1/servers/{one}",
        "the newest 1 000 with details": f"/compute/v2.1/servers/detail?limit={SERVERS}",
        "the newest 10 that are ACTIVE": "/compute/v2.1/servers/detail?limit=10&status=ACTIVE",
    }
    return {what: load(cloud.url, headers, getting(path)).p50_ms for what, path in paths.items()}


def getting(path: str) -> Request:
    """Ask for one path, and read all of the answer."""
    return lambda client: client.get(path)
