"""A bootstrapped identity service on a database of its own, and somebody who talks to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response
from starlette.testclient import TestClient

from common.bus.memory import MemoryBus
from common.process import Part, Surroundings
from common.settings import PlatformSettings
from services.identity.api.kit import Kit
from services.identity.core.bootstrap import Bootstrap, ServiceUser
from services.identity.main import bootstrap, build
from tests.conftest import a_platform

CLOUD = Bootstrap(
    admin_password="admin-secret",
    demo_password="demo-secret",
    service_users=(
        ServiceUser("compute", "compute-secret"),
        ServiceUser("compute-agent", "agent-secret", ("service",)),
    ),
)
CHEAP = {"argon2_memory_kib": 64, "argon2_passes": 1, "parallel_hashes": 4}
URL = "http://cloud.test/identity/v3"
Headers = dict[str, str]


def surroundings_in(directory: Path, database_url: str, platform: PlatformSettings, **options: object) -> Surroundings:
    lines = [
        f'database_url = "{database_url}"',
        *(f"{key} = {json.dumps(value)}" for key, value in (CHEAP | options).items()),
    ]
    file = directory / "pileus.toml"
    file.write_text("\n".join(["[identity]", *lines]))
    return Surroundings(platform=platform, settings_file=file, bus=MemoryBus())


def with_settings(**options: object) -> pytest.MarkDecorator:
    """The test's world has these settings."""
    return pytest.mark.parametrize("world", [options], indirect=True, ids=["set"])


def scope_to(project: str) -> dict[str, Any]:
    return {"project": {"name": project, "domain": {"id": "default"}}}


@dataclass
class World:
    """One cloud's identity."""

    surroundings: Surroundings
    part: Part
    http: TestClient

    @property
    def kit(self) -> Kit:
        assert isinstance(self.part.app, FastAPI)
        kit: Kit = self.part.app.state.kit
        return kit

    def log_in(self, name: str, password: str, scope: object = None) -> Response:
        user = {"name": name, "password": password, "domain": {"name": "Default"}}
        return self.authenticate({"methods": ["password"], "password": {"user": user}}, scope)

    def rescope(self, token: str, scope: object = None) -> Response:
        return self.authenticate({"methods": ["token"], "token": {"id": token}}, scope)

    def authenticate(self, identity: object, scope: object = None) -> Response:
        auth = {"identity": identity} | ({} if scope is None else {"scope": scope})
        return self.http.post("/v3/auth/tokens", json={"auth": auth})

    def token(self, name: str = "admin", scope: object = None) -> str:
        answer = self.log_in(name, f"{name}-secret", scope or scope_to(name))
        assert answer.status_code == 201, answer.text
        return answer.headers["x-subject-token"]

    def as_(self, name: str = "admin", scope: object = None) -> Headers:
        return {"x-auth-token": self.token(name, scope)}

    def get(self, path: str, headers: Headers) -> Any:
        answer = self.http.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def id_of(self, plural: str, name: str) -> str:
        [found] = self.get(f"/v3/{plural}?name={name}", self.as_())[plural]
        return str(found["id"])

    def validate(self, subject: str, token: str | None = None, **options: Any) -> Response:
        headers = {"x-auth-token": token or self.token(), "x-subject-token": subject}
        return self.http.get("/v3/auth/tokens", headers=headers, **options)


def a_user(world: World, name: str, **fields: object) -> str:
    """Its password is `<name>-secret`."""
    body = {"user": {"name": name, "password": f"{name}-secret"} | fields}
    answer = world.http.post("/v3/users", headers=world.as_(), json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["user"]["id"])


def a_project(world: World, name: str, **fields: object) -> str:
    answer = world.http.post("/v3/projects", headers=world.as_(), json={"project": {"name": name} | fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["project"]["id"])


def a_group(world: World, name: str, *members: str) -> str:
    answer = world.http.post("/v3/groups", headers=world.as_(), json={"group": {"name": name}})
    assert answer.status_code == 201, answer.text
    group = str(answer.json()["group"]["id"])
    for member in members:
        given(world, f"groups/{group}/users/{member}")
    return group


def a_domain(world: World, name: str, **fields: object) -> str:
    answer = world.http.post("/v3/domains", headers=world.as_(), json={"domain": {"name": name} | fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["domain"]["id"])


def a_role(world: World, name: str, **fields: object) -> str:
    answer = world.http.post("/v3/roles", headers=world.as_(), json={"role": {"name": name} | fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["role"]["id"])


def given(world: World, path: str) -> None:
    """A PUT that an admin makes."""
    answer = world.http.put(f"/v3/{path}", headers=world.as_())
    assert answer.is_success, answer.text


def opened(surroundings: Surroundings) -> Iterator[World]:
    part = build(surroundings)
    assert part.app is not None
    with TestClient(part.app, raise_server_exceptions=False) as http:
        yield World(surroundings, part, http)
    part.stop()
    surroundings.bus.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file of a bootstrapped service that has run, so that it has a signing key; tests work on copies."""
    directory = tmp_path_factory.mktemp("identity")
    file = directory / "identity.db"
    surroundings = surroundings_in(directory, f"sqlite:///{file}", a_platform())
    bootstrap(surroundings, CLOUD)
    build(surroundings).stop()
    surroundings.bus.close()
    return file


@pytest.fixture
def world(request: pytest.FixtureRequest, filled: Path, tmp_path: Path, platform: PlatformSettings) -> Iterator[World]:
    shutil.copy(filled, tmp_path / "identity.db")
    options = getattr(request, "param", {})
    yield from opened(surroundings_in(tmp_path, f"sqlite:///{tmp_path}/identity.db", platform, **options))
