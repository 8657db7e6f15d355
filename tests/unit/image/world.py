"""One image service on its own: real database, real store, real inspection; tokens signed here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvicorn
from fastapi import FastAPI

from common.bus.memory import MemoryBus
from common.db.database import Database
from common.db.migrate import upgrade
from common.http.inprocess import Inside
from common.process import Surroundings
from common.saga.engine import SagaEngine
from services.image.api.kit import Kit
from services.image.db.metadata_definitions import Definitions
from services.image.db.tables import ImageTable
from services.image.main import build_app, build_engine, build_kit
from services.image.sagas.kit import Inspects
from services.image.settings import ImageSettings
from tests.conftest import a_platform
from tests.harness.tokens import ALICE as ALICE
from tests.harness.tokens import BOB as BOB
from tests.harness.tokens import a_verifier, signed_token
from tests.harness.waiting import until

PATCH = "application/openstack-images-v2.1-json-patch"
BYTES = "application/octet-stream"


def a_token(project: str = ALICE, roles: tuple[str, ...] = ("member", "reader")) -> str:
    return signed_token(project=project, roles=roles, user=uuid4().hex)


ADMIN = ("admin", "manager", "member", "reader")


@dataclass
class World:
    kit: Kit
    app: FastAPI
    inside: Inside
    engine: SagaEngine
    people: dict[tuple[str, tuple[str, ...]], httpx.Client] = field(default_factory=dict)

    def person(self, project: str = ALICE, *roles: str) -> httpx.Client:
        """A client with a token of that project; a member unless roles are given."""
        held = roles or ("member", "reader")
        if (project, held) not in self.people:
            headers = {"x-auth-token": a_token(project, held), "accept": "application/json"}
            self.people[project, held] = httpx.Client(
                transport=self.inside.transport(), base_url="http://image", headers=headers, timeout=120
            )
        return self.people[project, held]

    @property
    def alice(self) -> httpx.Client:
        return self.person()

    @property
    def bob(self) -> httpx.Client:
        return self.person(BOB)

    @property
    def admin(self) -> httpx.Client:
        return self.person(ALICE, *ADMIN)

    def create(self, person: httpx.Client | None = None, **given: Any) -> dict[str, Any]:
        """A queued image of Alice's, raw unless told otherwise."""
        body = {"name": "an image", "disk_format": "raw", "container_format": "bare"} | given
        answer = (person or self.alice).post("/v2/images", json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def upload(
        self, image_id: str, data: Any, person: httpx.Client | None = None, **headers: str | None
    ) -> httpx.Response:
        sent = {"content-type": BYTES} | {
            name.replace("_", "-"): value for name, value in headers.items() if value is not None
        }
        return (person or self.alice).put(f"/v2/images/{image_id}/file", content=data, headers=sent)

    def active(self, data: bytes = b"some bytes", **given: Any) -> dict[str, Any]:
        """An image that has bytes."""
        image_id = self.create(**given)["id"]
        answer = self.upload(image_id, data)
        assert answer.status_code == 204, answer.text
        return self.shown(image_id)

    def shown(self, image_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.alice.get(f"/v2/images/{image_id}").json()
        return found

    def patch(
        self, image_id: str, *operations: dict[str, Any], person: httpx.Client | None = None, media_type: str = PATCH
    ) -> httpx.Response:
        path, headers = f"/v2/images/{image_id}", {"content-type": media_type}
        return (person or self.alice).request("PATCH", path, json=list(operations), headers=headers)

    def files(self) -> list[str]:
        """Everything in the store, arriving bytes too."""
        store = self.kit.store.directory
        return sorted(str(one.relative_to(store)) for one in store.rglob("*") if one.is_file())

    def stage(self, image_id: str, data: Any) -> httpx.Response:
        return self.alice.put(f"/v2/images/{image_id}/stage", content=data, headers={"content-type": BYTES})

    def begin_import(
        self, image_id: str, method: str = "glance-direct", person: httpx.Client | None = None, **more: Any
    ) -> httpx.Response:
        """`uri` goes into the method, all else beside it."""
        named = {"name": method} | ({"uri": more.pop("uri")} if "uri" in more else {})
        return (person or self.alice).post(f"/v2/images/{image_id}/import", json={"method": named} | more)

    def imported(self, image_id: str, method: str = "glance-direct", **more: Any) -> dict[str, Any]:
        """The image after the import has come to its end."""
        answer = self.begin_import(image_id, method, **more)
        assert answer.status_code == 202, answer.text
        self.work()
        return self.shown(image_id)

    def work(self) -> None:
        """Do all imports that are due."""
        while self.engine.run_due():
            pass

    def images_with_bytes(self) -> set[UUID]:
        return {UUID(name) for name in self.files()}


@cache
def _a_migrated_database() -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "image.db"
        database = Database(f"sqlite:///{path}", synchronous="OFF")
        upgrade(database, "services.image.db", ImageTable.metadata)
        with database.transaction() as session:
            Definitions(session).furnish()
        database.close()
        return path.read_bytes()


def _a_copy_of_the_migrated_database(directory: Path) -> Path:
    path = directory / "image.db"
    path.write_bytes(_a_migrated_database())
    return path


@contextmanager
def a_world(
    directory: Path, inspector: Inspects, *, database_url: str | None = None, **options: Any
) -> Iterator[World]:
    url = database_url or f"sqlite:///{_a_copy_of_the_migrated_database(directory)}"
    given = {"service_password": "not used here"} | options
    settings = ImageSettings.read(None, database_url=url, store=directory / "store", **given)
    surroundings = Surroundings(platform=a_platform(), settings_file=None, bus=MemoryBus())
    kit = build_kit(settings, surroundings, inspector)
    inside = Inside()
    app = build_app(kit, a_verifier(), public_url=surroundings.platform.public_url)
    inside.add("image", app)
    world = World(kit, app, inside, build_engine(kit))
    try:
        yield world
    finally:
        for person in world.people.values():
            person.close()
        inside.close()
        kit.threads.shutdown()
        kit.endings.shutdown()
        kit.database.close()
        surroundings.bus.close()


@contextmanager
def served(world: World) -> Iterator[tuple[str, int]]:
    """The application on a real socket."""
    server = uvicorn.Server(uvicorn.Config(world.app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, what="the server's start")
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield host, port
    finally:
        server.should_exit = True
        thread.join()
