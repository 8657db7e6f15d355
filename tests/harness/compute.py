"""The compute service in one process: database, bus, agents with simulated hosts.  What sagas' tests look at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update

from common.bus.memory import MemoryBus
from common.db.database import Database
from common.errors import Conflict, NotFound
from common.saga.engine import Pace, SagaEngine
from common.saga.saga import Saga
from common.saga.store import Sagas
from common.saga.tables import SagaTables
from services.compute.agent.boots import BootMark
from services.compute.agent.calls import handlers as agent_handlers
from services.compute.agent.changes import Changes
from services.compute.agent.host import Host
from services.compute.agent.images import HostImages
from services.compute.agent.presence import Presence
from services.compute.contract import HOST_QUEUE, WORKER_QUEUE
from services.compute.core.local_disks import device_names, disks_of
from services.compute.core.placement import Ratios
from services.compute.core.states import VmState
from services.compute.db.claims import demands_meanwhile, larger
from services.compute.db.hosts import Hosts
from services.compute.db.migration_records import OPEN
from services.compute.db.placement_tables import AllocationRow, InventoryRow, ProviderRow
from services.compute.db.tables import SAGAS as SAGA_TABLES
from services.compute.db.tables import MigrationRow, ServerRow, ServiceRow
from services.compute.drivers.images import ImageCache
from services.compute.drivers.simulated import SimulatedHypervisor, SimulatedOptions
from services.compute.sagas import BOOT_SERVER, SAGAS, BootServer
from services.compute.sagas.kit import Kit, Rules
from services.compute.worker.answers import Worker
from services.compute.worker.answers import handlers as worker_handlers
from services.image.client import ImageFacts
from tests.harness.clock import Clock

IMAGE_BYTES = b"not much of a disk" * 100
FLAVOR: Mapping[str, Any] = {
    "id": "1", "name": "m1.tiny", "vcpus": 1, "memory_mib": 512, "root_gib": 1, "ephemeral_gib": 1, "swap_mib": 512,
    "extra_specs": {},
}  # fmt: skip


def _size(flavor: Mapping[str, Any]) -> tuple[str, int, int]:
    return flavor["id"], flavor["vcpus"], flavor["memory_mib"]


@dataclass
class Gallery:
    """An image service: every image that a server was made from, and those that a test makes, with their bytes."""

    made: dict[UUID, ImageFacts] = field(default_factory=dict)
    contents: dict[UUID, bytes] = field(default_factory=dict)

    def make(self, **changes: Any) -> UUID:
        """Queued, as it is when a snapshot was asked for."""
        given = {"id": uuid4(), "status": "queued", "visibility": "private", "owner": "p", "disk_format": "qcow2"}
        image = ImageFacts.model_validate(given | changes)
        self.made[image.id] = image
        return image.id

    @contextmanager
    def download(self, image_id: UUID) -> Iterator[Iterator[bytes]]:
        yield iter([self.contents.get(image_id, IMAGE_BYTES)])

    def local_path(self, image_id: UUID) -> Path | None:
        return None

    def show(self, image_id: UUID | str) -> ImageFacts:
        if (found := self.made.get(UUID(str(image_id)))) is None:
            raise NotFound(f"No image found with ID {image_id}")
        return found

    def status(self, image_id: UUID) -> str:
        return self.show(image_id).status

    def upload(self, image_id: UUID, pieces: Iterator[bytes], size: int) -> None:
        image, content = self.show(image_id), b"".join(pieces)
        if image.status != "queued":
            raise Conflict("It has its bytes already")
        assert len(content) == size
        known = {"status": "active", "size": size, "os_hash_value": hashlib.sha512(content).hexdigest()}
        self.made[image_id], self.contents[image_id] = image.model_copy(update=known), content

    def remove(self, image_id: UUID | str) -> None:
        del self.made[self.show(image_id).id]

    def find(self, **filters: str) -> list[ImageFacts]:
        wanted = {name: filters.get(name) for name in ("backup_type", "instance_uuid", "image_type")}
        return [
            one
            for one in reversed(self.made.values())
            if one.owner == filters["owner"] and {name: one.properties.get(name) for name in wanted} == wanted
        ]


@dataclass
class ComputeWorld:
    """`host_names` hosts of 16 GiB; everything is real but the guests."""

    directory: Path
    database: Database
    host_names: tuple[str, ...] = ("sim-1", "sim-2", "sim-3")
    memory_mib: int = 16384
    pcpus: int = 0  # of each host, for guests that have processors of their own
    tables: SagaTables = SAGA_TABLES
    refuses_who_was_overtaken: bool = True
    clock: Clock = field(default_factory=Clock)
    bus: MemoryBus = field(default_factory=MemoryBus)
    rules: Rules = field(default_factory=Rules)
    hosts: dict[str, SimulatedHypervisor] = field(default_factory=dict)
    gallery: Gallery = field(default_factory=Gallery)

    def __post_init__(self) -> None:
        self.kit = Kit(self.database, self.bus, self.rules, self.clock.now, self.gallery)
        self.changes = Changes(self.bus, now=self.clock.now)
        self.clock.listeners.append(self.beat)
        images = HostImages(
            ImageCache(self.directory / "images"), self.gallery, forget_token=lambda: None, max_bytes=1 << 30
        )
        self.engine = self._engine()
        worker = Worker(self.kit, self.engine, Ratios(), "nova")
        self.bus.serve(WORKER_QUEUE, worker_handlers.bound(worker), threads=2)
        self.presences = [self._host(name, images) for name in self.host_names]

    def _host(self, name: str, images: HostImages) -> Presence:
        options = SimulatedOptions(
            host=name, memory_mib=self.memory_mib, pcpus=self.pcpus, copies=self.directory / "copies"
        )
        self.hosts[name] = SimulatedHypervisor(options)
        host = Host(name, self.hosts[name], images)
        self.bus.serve(f"{HOST_QUEUE}.{name}", agent_handlers.bound(host), threads=4)
        with self.database.transaction() as session:
            Hosts(session).register(self.hosts[name].facts(), zone="nova", ratios=Ratios(), at=self.clock.now())
        return Presence(host, self.bus, BootMark(self.directory / f"{name}.boot"), self.changes, 0, self.clock.now)

    def _engine(self) -> SagaEngine:
        return SagaEngine(
            self.database, SAGA_TABLES, SAGAS, self.kit, worker="main", pace=Pace(threads=16), now=self.clock.now
        )

    def close(self) -> None:
        self.bus.close()
        self.database.close()

    # ------------------------------------------------------------------ what happens

    def beat(self) -> None:
        """All hosts that have not been forced down are alive."""
        with self.database.transaction() as session:
            session.execute(update(ServiceRow).values(seen_at=self.clock.now()))

    def reconcile(self) -> None:
        self.clock.advance(30)
        for presence in self.presences:
            presence.forget()
            presence.look()
        self.changes.send_waiting()

    def a_server(self, **changes: Any) -> UUID:
        """A server as the API leaves it: accepted, not yet booted."""
        row: dict[str, Any] = {
            "id": uuid4(), "project_id": "p", "user_id": "u", "name": "web", "hostname": "web",
            "vm_state": VmState.BUILDING, "task_state": "scheduling", "image_id": uuid4(),
            "image": {"sha512": hashlib.sha512(IMAGE_BYTES).hexdigest(), "size_bytes": len(IMAGE_BYTES), "disk_format": "raw"},
            "flavor": dict(FLAVOR), "attributes": {}, "tags": [], "hints": {}, "reservation_id": "r-1",
            "admin_password": "secret", "created_at": self.clock.now(), "updated_at": self.clock.now(),
        }  # fmt: skip
        row |= changes
        with self.database.transaction() as session:
            session.execute(insert(ServerRow), [row])
        return UUID(str(row["id"]))

    def begin(self, saga: Saga[Any], params: Any) -> UUID:
        with self.database.transaction() as session:
            return Sagas(session, SAGA_TABLES).start(
                saga, params, resource_id=params.server_id, project_id="p", user_id="u", at=self.clock.now()
            )

    def do(self, saga: Saga[Any], params: Any) -> ServerRow:
        """Begin the saga and run what is due, once; the server afterwards."""
        self.begin(saga, params)
        self.engine.run_due()
        return self.server(params.server_id)

    def a_booted_server(self, **changes: Any) -> UUID:
        server_id = self.a_server(**changes)
        assert self.do(BOOT_SERVER, BootServer(server_id=server_id)).vm_state == VmState.ACTIVE
        return server_id

    def change(self, server_id: UUID, **values: Any) -> None:
        with self.database.transaction() as session:
            session.execute(update(ServerRow).where(ServerRow.id == server_id).values(**values))

    # ------------------------------------------------------------------ how it looks

    def server(self, server_id: UUID) -> ServerRow:
        with self.database.reading() as session:
            row = session.get(ServerRow, server_id)
            if row is None:
                raise NotFound(f"No server {server_id}")
            return row

    def guests(self) -> dict[UUID, list[str]]:
        """Server -> hosts that have a guest of it."""
        found: dict[UUID, list[str]] = {}
        for name, hypervisor in self.hosts.items():
            for guest in hypervisor.guests():
                found.setdefault(guest.server_id, []).append(name)
        return found

    def claims(self) -> dict[UUID, dict[str, dict[str, int]]]:
        """Server -> host -> resource -> amount."""
        found: dict[UUID, dict[str, dict[str, int]]] = {}
        query = select(AllocationRow, ProviderRow.name).join(ProviderRow, ProviderRow.id == AllocationRow.provider_id)
        with self.database.reading() as session:
            for row, host in session.execute(query):
                found.setdefault(row.consumer_id, {}).setdefault(host, {})[row.resource_class] = row.used
        return found

    def has_its_disks(self, server_id: UUID) -> bool:
        """Whether its guest has those that its flavor says."""
        server = self.server(server_id)
        expected = ["vda", *device_names(disks_of(server.flavor, server.local_disks)).values()]
        return [disk.name for disk in self.hosts[server.host or ""].diagnose(server_id).disks] == expected

    def disagreements(self) -> list[str]:
        guests, claims = self.guests(), self.claims()
        with self.database.reading() as session:
            servers = {row.id: row for row in session.scalars(select(ServerRow))}
        wrong = [f"guest of {one} without server" for one in guests if one not in servers]
        wrong += [f"claim of {one} without server" for one in claims if one not in servers]
        wrong += [f"image {one.id} left {one.status}" for one in self.gallery.made.values() if one.status != "active"]
        wrong += [f"copy {path.name} left" for path in (self.directory / "copies").glob("*")]
        wrong += self._wrong_moves(servers)
        for server in servers.values():
            wrong += self._wrong_with(server, guests.get(server.id, []), claims.get(server.id, {}))
        return wrong + self._wrong_sums()

    def _wrong_with(self, server: ServerRow, guests: list[str], claims: dict[str, dict[str, int]]) -> list[str]:
        is_placed = server.host is not None and server.deleted_at is None
        demands = demands_meanwhile(server.flavor, server.before, server.image.get("properties") or {})
        expected = {server.host: larger([one.resources for one in demands])} if is_placed else {}
        checks = {
            "is undergoing something": server.task_state is not None or server.vm_state == VmState.BUILDING,
            "keeps its password": server.admin_password is not None,
            "is found by another flavor": (server.flavor_id, server.vcpus, server.memory_mib) != _size(server.flavor),
            f"claims {claims} instead of {expected}": claims != expected,
            f"has guests on {guests}": guests != ([server.host] if is_placed else []),
            "gives no reason for its error": server.vm_state == VmState.ERROR and not server.fault,
            "is deleted by half": (server.vm_state == VmState.DELETED) != (server.deleted_at is not None),
        }
        if is_placed and guests:
            actual = self.hosts[guests[0]].state(server.id)
            checks[f"has power state {server.power_state} instead of {actual}"] = server.power_state != actual
        return [f"server {server.vm_state} {what}" for what, is_so in checks.items() if is_so]

    def _wrong_moves(self, servers: dict[UUID, ServerRow]) -> list[str]:
        """A move that is not over belongs to a server that may still go back."""
        with self.database.reading() as session:
            rows = session.execute(select(MigrationRow.server_id, MigrationRow.status)).all()
        return [
            f"move of a server that is {servers[row.server_id].vm_state} is {row.status}"
            for row in rows
            if row.status in OPEN and servers[row.server_id].vm_state != VmState.RESIZED
        ]

    def _wrong_sums(self) -> list[str]:
        with self.database.reading() as session:
            held: dict[Any, int] = {}
            for row in session.scalars(select(AllocationRow)):
                key = (row.provider_id, row.resource_class)
                held[key] = held.get(key, 0) + row.used
            stocks = session.scalars(select(InventoryRow)).all()
        return [
            f"{row.resource_class} used {row.used}, held {held.get((row.provider_id, row.resource_class), 0)}"
            for row in stocks
            if row.used != held.get((row.provider_id, row.resource_class), 0)
        ]
