"""Who attacks and who is attacked: users of a running cloud, and what they hold."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson

from tests.harness.clouds import Cloud
from tests.harness.waiting import until

BYTES = "application/octet-stream"
PATCH = "application/openstack-images-v2.1-json-patch"
NEWEST = "2.104"


@dataclass
class Person:
    """A user with a token for one project, talking to the public address with nothing in between."""

    http: httpx.Client
    name: str
    password: str
    project: str
    project_id: str
    token: str
    user_id: str

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = {"x-auth-token": self.token} | dict(given.pop("headers", {}))
        return self.http.request(method, path, headers=headers, **given)

    def made(self, path: str, body: Mapping[str, Any], **given: Any) -> dict[str, Any]:
        """What a POST made; the one thing in the answer, if it is wrapped in its name."""
        answer = self.ask("POST", path, json=body, **given)
        assert answer.status_code < 300, (path, answer.status_code, answer.text)
        found: dict[str, Any] = answer.json()
        [first, *others] = found.values()
        return first if isinstance(first, dict) and not others else found

    # ------------------------------------------------------------------ what people have

    def image(self, data: bytes, *, disk_format: str = "qcow2", **more: Any) -> tuple[dict[str, Any], httpx.Response]:
        """A new image, and the answer to its upload."""
        body = {"name": "an image", "disk_format": disk_format, "container_format": "bare"} | more
        image = self.made("/image/v2/images", body)
        answer = self.ask("PUT", f"/image/v2/images/{image['id']}/file", content=data, headers={"content-type": BYTES})
        return image, answer

    def first_image(self) -> str:
        """The one that the cloud came with."""
        found = self.ask("GET", "/image/v2/images", params={"visibility": "public", "sort": "created_at:asc"})
        return str(found.json()["images"][0]["id"])

    def flavor(self) -> str:
        """The smallest that the cloud came with."""
        flavors = self.ask("GET", "/compute/v2.1/flavors/detail").json()["flavors"]
        first = [one for one in flavors if one["name"].startswith("m1.")]
        return str(min(first, key=lambda one: (one["ram"], one["disk"]))["id"])

    def order(self, **more: Any) -> dict[str, Any]:
        """The body of a request for a server."""
        plain = {"name": "web", "imageRef": self.first_image(), "flavorRef": self.flavor(), "networks": "none"}
        return {"server": plain | more}

    def boot(self, **more: Any) -> dict[str, Any]:
        """A server, ACTIVE or in ERROR, as its owner sees it then."""
        order = self.order(**more)
        server = self.made("/compute/v2.1/servers", order, headers=microversion(NEWEST))
        return self.settled(server["id"]) | {"adminPass": server["adminPass"]}

    def settled(self, server_id: str, *, within_s: float = 90) -> dict[str, Any]:
        until(lambda: self._ended(server_id), within_s=within_s, every_s=0.1, what="the end of the boot")
        return self._seen(server_id)

    def _ended(self, server_id: str) -> bool:
        return self._seen(server_id)["status"] in ("ACTIVE", "ERROR")

    def _seen(self, server_id: str) -> dict[str, Any]:
        answer = self.ask("GET", f"/compute/v2.1/servers/{server_id}", headers=microversion(NEWEST))
        server: dict[str, Any] = answer.json()["server"]
        return server


def microversion(version: str) -> dict[str, str]:
    """Of compute; of placement always the newest."""
    return {"openstack-api-version": f"compute {version}, placement latest"}


@dataclass
class Town:
    """The cloud's administrator, and projects that know nothing of each other."""

    cloud: Cloud
    http: httpx.Client
    admin: Person
    member_role: str
    reader_role: str

    def stranger(self, *, password: str | None = None) -> Person:
        """A new user, member of a new project."""
        suffix, password = uuid4().hex[:8], password or uuid4().hex
        project = self.admin.made("/identity/v3/projects", {"project": {"name": f"project-{suffix}"}})
        user = self.admin.made("/identity/v3/users", {"user": {"name": f"user-{suffix}", "password": password}})
        self.grant(project["id"], user["id"], self.member_role)
        return signed_in(self.http, user["name"], password, project["name"])

    def grant(self, project_id: str, user_id: str, role_id: str) -> None:
        given = self.admin.ask("PUT", f"/identity/v3/projects/{project_id}/users/{user_id}/roles/{role_id}")
        assert given.status_code == 204, given.text


@contextmanager
def town_of(cloud: Cloud) -> Iterator[Town]:
    password = settings_of(cloud)["cloud"]["admin_password"]
    with httpx.Client(base_url=cloud.url, timeout=60) as http:
        admin = signed_in(http, "admin", password, "admin")
        roles = {one["name"]: one["id"] for one in admin.ask("GET", "/identity/v3/roles").json()["roles"]}
        yield Town(cloud, http, admin, roles["member"], roles["reader"])


def settings_of(cloud: Cloud) -> dict[str, Any]:
    return tomllib.loads((cloud.data / "pileus.toml").read_text())


def storage_of(cloud: Cloud) -> Path:
    """Where its hosts keep disks, consoles and cached images; not always below the data directory."""
    return Path(settings_of(cloud)["agent"]["storage"])


def sign_in(http: httpx.Client, name: str, password: str, project: str) -> httpx.Response:
    user = {"name": name, "domain": {"id": "default"}, "password": password}
    scope = {"project": {"name": project, "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    return http.post("/identity/v3/auth/tokens", content=orjson.dumps(body))


def signed_in(http: httpx.Client, name: str, password: str, project: str) -> Person:
    answer = sign_in(http, name, password, project)
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    return Person(
        http,
        name,
        password,
        project,
        token["project"]["id"],
        answer.headers["x-subject-token"],
        token["user"]["id"],
    )
