"""Scheduling: one claim among ten thousand hosts, in SQLite."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from common.clock import utc_now
from common.db.database import Database
from common.db.migrate import upgrade
from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios
from services.compute.core.scheduling import wish_of
from services.compute.core.weighers import best_first
from services.compute.db.placement import Placement
from services.compute.db.placement_tables import ProviderRow
from services.compute.db.tables import ServiceRow
from tests.bench.load import timed
from tests.bench.report import Figure, within

HOSTS = 10_000
FLAVOR = {"vcpus": 1, "memory_mib": 512, "root_gib": 1, "ephemeral_gib": 0, "swap_mib": 0, "extra_specs": {}}


def measure(folder: Path) -> list[Figure]:
    database = Database(f"sqlite:///{folder}/hosts.db")
    upgrade(database, "services.compute.db", ProviderRow.metadata)
    seed(database)
    p50_ms, p95_ms = timed(lambda: claim(database), times=200)
    database.close()
    return [within(f"scheduling over {HOSTS:,} hosts, p50", p50_ms, 10, "ms", f" (p95 {p95_ms:.3g} ms)")]


def seed(database: Database) -> None:
    now, ratios = utc_now(), Ratios(cpu=4.0, memory=1.0, disk=1.0)
    with database.transaction() as session:
        for number in range(HOSTS):
            facts = HostFacts(
                host=f"host-{number}", address="127.0.0.1", hypervisor_type="simulated", hypervisor_version=1,
                vcpus=32, memory_mib=131_072, disk_gib=2_000,
            )  # fmt: skip
            Placement(session).offer(uuid4(), facts, ratios, before=(), at=now)
            session.add(
                ServiceRow(
                    id=uuid4(), host=facts.host, binary="nova-compute", zone="nova", is_disabled=False,
                    is_forced_down=False, seen_at=now, created_at=now,
                )
            )  # fmt: skip


def claim(database: Database) -> None:
    wish = wish_of(flavor=FLAVOR, image_properties={}, wanted_zone=None, failed_hosts=(), beside=None, apart=())
    long_ago = utc_now().replace(year=2020)
    with database.transaction() as session:
        placement = Placement(session)
        best = next(iter(best_first(placement.candidates(wish, seen_after=long_ago, start=uuid4()))))
        placement.claim(best, wish, consumer_id=uuid4(), project_id="p", user_id="u", at=utc_now())
