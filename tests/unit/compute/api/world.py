"""One Compute API on its own: a real database, the bus of one process, tokens signed here, and images made up by the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy import insert, select, update

from common.auth.policy import Policy
from common.bus.bus import Handlers
from common.bus.memory import MemoryBus
from common.clock import utc_now
from common.db.database import Database
from common.db.migrate import upgrade
from common.errors import NotFound, TooLarge
from common.http.inprocess import Inside
from services.compute.api.app import compute_app
from services.compute.api.kit import Images, Kit
from services.compute.api.policy import RULES
from services.compute.contract import HOST_QUEUE, ReadConsole, ReadUptime
from services.compute.db.placement_tables import InventoryRow, ProviderRow
from services.compute.db.tables import ComputeTable, HostRow, ServerRow, ServerSaga, ServiceRow
from services.compute.settings import ComputeSettings
from services.image.client import ImageFacts
from tests.harness.tokens import ALICE as ALICE
from tests.harness.tokens import BOB as BOB
from tests.harness.tokens import a_verifier, signed_token

ALICES_USER = "a2" * 16
ADMIN = ("admin", "manager", "member", "reader")
MEMBER, READER = ("member", "reader"), ("reader",)
BUILT_IN = Policy(RULES)  # to read them takes longer than most tests
URL, IMAGE_URL = "http://cloud.test/compute", "http://cloud.test/image"
UPTIME = "08:32:11 up 93 days, 18:25, 12 users,  load average: 0.20, 0.12, 0.14"


def a_token(project: str | None = ALICE, roles: tuple[str, ...] = MEMBER, user: str | None = None) -> str:
    owner = ALICES_USER if project == ALICE else uuid4().hex
    return signed_token(project=project, roles=roles, user=user or owner)


def an_image(**changes: Any) -> ImageFacts:
    given = {
        "id": uuid4(),
        "name": "small",
        "status": "active",
        "owner": ALICE,
        "visibility": "public",
        "size": 1 << 20,
        "virtual_size": 1 << 28,
        "disk_format": "qcow2",
        "container_format": "bare",
        "os_hash_algo": "sha512",
        "os_hash_value": "ab" * 64,
        "properties": {"os_distro": "debian"},
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:06Z",
    }
    return ImageFacts.model_validate(given | changes)


@dataclass
class Gallery:
    """Stands for the image service: knows the images that the test gave it, and remembers who asked."""

    images: dict[UUID, ImageFacts] = field(default_factory=dict)
    tokens: list[str | None] = field(default_factory=list)
    bodies: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    shared: list[tuple[UUID, str]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    is_full: bool = False

    def create(self, body: dict[str, Any], token: str | None = None) -> ImageFacts:
        if self.is_full:
            raise TooLarge("The project may have no more images")
        self.tokens.append(token)
        image = self.add(id=UUID(body["id"]), status="queued", size=None, os_hash_value=None, name=body["name"])
        self.bodies[image.id] = body
        return image

    def share(self, image_id: UUID | str, project_id: str, token: str | None = None) -> None:
        self.shared.append((UUID(str(image_id)), project_id))

    def remove(self, image_id: UUID | str, token: str | None = None) -> None:
        del self.images[self.show(image_id).id]

    def find(self, token: str | None = None, **filters: str) -> list[ImageFacts]:
        self.asked.append(filters)
        return list(self.images.values())

    def change(self, image_id: UUID | str, steps: list[dict[str, Any]], token: str | None = None) -> ImageFacts:
        image = self.show(image_id)
        properties = dict(image.properties)
        for step in steps:
            name = step["path"].removeprefix("/").replace("~1", "/").replace("~0", "~")
            properties.pop(name, None)
            if step["op"] == "add":
                properties[name] = step["value"]
        self.images[image.id] = image.model_copy(update={"properties": properties})
        return self.images[image.id]

    def add(self, **changes: Any) -> ImageFacts:
        image = an_image(**changes)
        self.images[image.id] = image
        return image

    def show(self, image_id: UUID | str, token: str | None = None) -> ImageFacts:
        self.tokens.append(token)
        if (found := self.images.get(UUID(str(image_id)))) is None:
            raise NotFound(f"No image found with ID {image_id}")
        return found


@dataclass
class Registry:
    """Stands for identity: every project exists but those that the test took away."""

    unknown: set[str] = field(default_factory=set)

    def has_project(self, project_id: str, token: str | None = None) -> bool:
        return project_id not in self.unknown


@dataclass
class World:
    kit: Kit
    inside: Inside
    gallery: Gallery
    bus: MemoryBus
    registry: Registry
    consoles: dict[UUID, str] = field(default_factory=dict)
    clients: dict[tuple[str | None, tuple[str, ...], str | None], httpx.Client] = field(default_factory=dict)

    def person(
        self, project: str | None = ALICE, roles: tuple[str, ...] = MEMBER, version: str | None = None
    ) -> httpx.Client:
        """A client with a token of that project, at that microversion."""
        if (project, roles, version) not in self.clients:
            headers = {"x-auth-token": a_token(project, roles)}
            if version is not None:
                headers["openstack-api-version"] = f"compute {version}"
            self.clients[project, roles, version] = httpx.Client(
                transport=self.inside.transport(), base_url="http://compute", headers=headers, timeout=120
            )
        return self.clients[project, roles, version]

    def at(self, version: str) -> httpx.Client:
        return self.person(version=version)

    def admin(self, version: str | None = None) -> httpx.Client:
        return self.person(ALICE, ADMIN, version)

    @property
    def alice(self) -> httpx.Client:
        return self.person()

    @property
    def bob(self) -> httpx.Client:
        return self.person(BOB)

    # ------------------------------------------------------------------ builders

    def flavor(self, flavor_id: str = "1", **changes: Any) -> str:
        body = {"id": flavor_id, "name": f"m1.{flavor_id}", "vcpus": 1, "ram": 512, "disk": 1} | changes
        answer = self.admin().post("/v2.1/flavors", json={"flavor": body})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["flavor"]["id"])

    def order(self, **changes: Any) -> dict[str, Any]:
        """A body that makes a server, with its own image and the flavor "1"."""
        return {"server": {"name": "probe", "imageRef": str(self.gallery.add().id), "flavorRef": "1"} | changes}

    def server(self, client: httpx.Client | None = None, **changes: Any) -> str:
        answer = (client or self.alice).post("/v2.1/servers", json=self.order(**changes))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["server"]["id"])

    def become(self, server_id: str, **columns: Any) -> None:
        """What the worker would have made of it."""
        with self.kit.database.transaction() as session:
            session.execute(update(ServerRow).where(ServerRow.id == UUID(server_id)).values(**columns))

    def active_server(self, host: str = "one", **changes: Any) -> str:
        server_id = self.server(**changes)
        self.end_sagas(server_id)
        self.become(
            server_id,
            vm_state="active",
            task_state=None,
            power_state=1,
            host=host,
            zone="nova",
            launched_at=utc_now(),
        )
        return server_id

    def end_sagas(self, server_id: str) -> None:
        done = {"state": "done", "finished_at": utc_now()}
        with self.kit.database.transaction() as session:
            session.execute(update(ServerSaga).where(ServerSaga.resource_id == UUID(server_id)).values(**done))

    def sagas(self, server_id: str) -> list[Any]:
        with self.kit.database.reading() as session:
            query = select(ServerSaga).where(ServerSaga.resource_id == UUID(server_id)).order_by(ServerSaga.number)
            return list(session.scalars(query))

    def row(self, server_id: str) -> Any:
        with self.kit.database.reading() as session:
            return session.scalars(select(ServerRow).where(ServerRow.id == UUID(server_id))).one()

    def host(
        self, name: str = "one", *, vcpus: int = 4, memory_mib: int = 8192, disk_gib: int = 100, **told: Any
    ) -> UUID:
        """A host that was just heard of; its console answers with what `consoles` holds."""
        now, host_id = utc_now(), uuid4()
        facts = {
            "host": name, "address": "192.0.2.1", "hypervisor_type": "QEMU", "hypervisor_version": 7_002_022,
            "vcpus": vcpus, "memory_mib": memory_mib, "disk_gib": disk_gib, "cpu_info": {"arch": "x86_64"},
            "traits": [], "memory_reserved_mib": 512, "disk_free_gib": 50, **told,
        }  # fmt: skip
        service = {"id": uuid4(), "host": name, "binary": "nova-compute", "zone": "nova", "seen_at": now}
        amounts = {"VCPU": vcpus, "MEMORY_MB": memory_mib, "DISK_GB": disk_gib}
        with self.kit.database.transaction() as session:
            session.execute(insert(HostRow), [{"id": host_id, "name": name, "facts": facts, "registered_at": now}])
            session.execute(insert(ServiceRow), [service | {"created_at": now}])
            session.execute(insert(ProviderRow), [{"id": host_id, "name": name, "created_at": now}])
            rows = [
                {"provider_id": host_id, "resource_class": kind, "total": total, "max_unit": total, "used": 0}
                for kind, total in amounts.items()
            ]
            session.execute(insert(InventoryRow), rows)
        self._serve_console(name)
        return host_id

    def _serve_console(self, host: str) -> None:
        handlers = Handlers()

        @handlers.serves(ReadConsole)
        def read(call: ReadConsole) -> str:
            if call.server_id not in self.consoles:
                raise NotFound("No such guest")
            return self.consoles[call.server_id]

        @handlers.serves(ReadUptime)
        def up(call: ReadUptime) -> str:
            return f" {UPTIME}"

        self.bus.serve(f"{HOST_QUEUE}.{host}", handlers, threads=1)


@contextmanager
def a_world(database_url: str, images: Images | None = None, *, is_new: bool = True, **options: Any) -> Iterator[World]:
    """`is_new`: the database is empty, and has to be given its tables first."""
    settings = ComputeSettings(database_url=database_url, service_password=SecretStr("secret"), **options)
    database = Database(database_url)
    if is_new:
        upgrade(database, "services.compute.db", ComputeTable.metadata)
    bus, gallery, registry, inside = MemoryBus(), Gallery(), Registry(), Inside()
    kit = Kit(
        settings=settings,
        url=URL,
        image_url=IMAGE_URL,
        console_url="http://cloud.test/console",
        database=database,
        bus=bus,
        images=images or gallery,
        projects=registry,
        policy=copy(BUILT_IN),
    )
    verifier = a_verifier()
    inside.add("compute", compute_app(kit, verifier, identity_url="http://cloud.test/identity"))
    world = World(kit, inside, gallery, bus, registry)
    yield world
    for client in world.clients.values():
        client.close()
    bus.close()
    inside.close()
    database.close()
