"""Scheduling: one claim among ten thousand hosts, and what placement's API tells of them, in SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select

from common.clock import utc_now
from common.db.database import Database
from common.db.migrate import upgrade
from services.compute.core.filters import explain
from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios
from services.compute.core.scheduling import Wish, wish_of
from services.compute.core.weighers import best_first
from services.compute.db.placement import Placement
from services.compute.db.placement_tables import InventoryRow, ProviderRow
from services.compute.db.tables import HostRow, ServiceRow
from tests.bench.load import timed
from tests.bench.report import Figure, told, within
from tests.harness.placement_api import a_placement

HOSTS = 10_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FLAVOR: dict[str, Any] = {
    "vcpus": 1,
    "memory_mib": 512,
    "root_gib": 1,
    "ephemeral_gib": 0,
    "swap_mib": 0,
    "extra_specs": {},
}


def measure(folder: Path) -> list[Figure]:
    database = Database(f"sqlite:///{folder}/hosts.db")
    upgrade(database, "services.compute.db", ProviderRow.metadata)
    seed(database)
    p50_ms, p95_ms = timed(lambda: claim(database), times=200)
    refused, candidates = told_of_refusals(database, ""), told_by_placement(f"sqlite:///{folder}/hosts.db", "")
    below_each_host(database)
    candidates += told_by_placement(f"sqlite:///{folder}/hosts.db", ", a provider below each")
    below_ms, _ = timed(lambda: claim(database), times=200)
    refused += told_of_refusals(database, ", a provider below each")
    database.close()
    return [
        within(f"scheduling over {HOSTS:,} hosts, p50", p50_ms, 10, "ms", f" (p95 {p95_ms:.3g} ms)"),
        within(f"scheduling over {HOSTS:,} hosts, a provider below each, p50", below_ms, 10, "ms"),
        *refused,
        *candidates,
    ]


def told_of_refusals(database: Database, what: str) -> list[Figure]:
    """Of a server that is too large for all of them: that none fits, and the sentence that says so."""
    wish = a_wish(memory_mib=10_000_000)

    def find() -> None:
        with database.reading() as session:
            assert not Placement(session).candidates(wish, seen_after=LONG_AGO, start=uuid4())

    def explained() -> None:
        with database.reading() as session:
            explain(Placement(session).views(wish, seen_after=LONG_AGO), wish)

    none_ms, explained_ms = (timed(work, times=5)[0] for work in (find, explained))
    return [
        told(
            f"a server too large for {HOSTS:,} hosts{what}: found / explained", f"{none_ms:.3g} / {explained_ms:.3g} ms"
        )
    ]


def below_each_host(database: Database) -> None:
    """A provider of something that few ask for."""
    with database.transaction() as session:
        hosts = session.scalars(select(ProviderRow.id)).all()
        rows = [
            {"id": uuid4(), "name": f"of {one}", "parent_id": one, "root_id": one, "created_at": utc_now()}
            for one in hosts
        ]
        session.execute(insert(ProviderRow), rows)
        stock = {"resource_class": "VGPU", "total": 4, "max_unit": 4}
        session.execute(insert(InventoryRow), [stock | {"provider_id": row["id"]} for row in rows])


def told_by_placement(url: str, what: str) -> list[Figure]:
    """GET /allocation_candidates, whole answers."""
    figures = []
    with a_placement(url) as placement:
        for limit in (10, 1000):
            path = f"/allocation_candidates?resources=VCPU:1,MEMORY_MB:512,DISK_GB:1&limit={limit}"
            p50_ms, _ = timed(partial(placement.get, path), times=5)
            figures.append(told(f"{limit} allocation candidates of {HOSTS:,} hosts{what}, p50", f"{p50_ms:.3g} ms"))
    return figures


def seed(database: Database) -> None:
    now, ratios = utc_now(), Ratios(cpu=4.0, memory=1.0, disk=1.0)
    with database.transaction() as session:
        for number in range(HOSTS):
            facts = HostFacts(
                host=f"host-{number}", address="127.0.0.1", hypervisor_type="simulated", hypervisor_version=1,
                vcpus=32, memory_mib=131_072, disk_gib=2_000,
            )  # fmt: skip
            host_id = uuid4()
            Placement(session).offer(host_id, facts, ratios, before=None, at=now)
            session.add(HostRow(id=host_id, name=facts.host, facts=facts.model_dump(mode="json"), registered_at=now))
            session.add(
                ServiceRow(
                    id=uuid4(), host=facts.host, binary="nova-compute", zone="nova", is_disabled=False,
                    is_forced_down=False, seen_at=now, created_at=now,
                )
            )  # fmt: skip


def a_wish(**flavor: int) -> Wish:
    return wish_of(flavor=FLAVOR | flavor, image_properties={}, wanted_zone=None, failed_hosts=())


def claim(database: Database) -> None:
    wish = a_wish()
    with database.transaction() as session:
        placement = Placement(session)
        best = next(iter(best_first(placement.candidates(wish, seen_after=LONG_AGO, start=uuid4()))))
        placement.claim(best, wish, consumer_id=uuid4(), project_id="p", user_id="u", at=utc_now())
