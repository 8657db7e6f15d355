"""The running cloud as this command sees it: through its public address, like every other client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from cli.places import Places
from common.errors import PlatformError, Unavailable
from common.http.client import ServiceClient


@dataclass(frozen=True, slots=True)
class CloudClient:
    """Requests to `public_url` with the token of one user of clouds.yaml."""

    url: str
    http: ServiceClient
    token: str

    def get(self, path: str) -> Any:
        return self.http.request("GET", path, token=self.token).json()

    def post(self, path: str, body: Any) -> Any:
        answer = self.http.request("POST", path, token=self.token, json=body)
        return answer.json() if answer.content else None

    def patch(self, path: str, changes: Any, media_type: str) -> None:
        self.http.request(
            "PATCH", path, token=self.token, content=json.dumps(changes), headers={"content-type": media_type}
        )

    def put_bytes(self, path: str, chunks: Iterator[bytes], size: int) -> None:
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        self.http.request("PUT", path, token=self.token, content=chunks, headers=headers, timeout=600)

    def delete(self, path: str) -> None:
        self.http.request("DELETE", path, token=self.token)


def log_in(places: Places, cloud: str) -> CloudClient:
    """A client as a cloud of clouds.yaml.  Unavailable, Unauthenticated"""
    known = json.loads(places.clouds.read_text())["clouds"][cloud]["auth"]
    url = known["auth_url"].removesuffix("/identity/v3")
    return log_in_as(url, user=known["username"], password=known["password"], project=known["project_name"])


def log_in_as(url: str, *, user: str, password: str, project: str) -> CloudClient:
    """A client as this user of the default domain.  Unavailable, Unauthenticated"""
    http, domain = ServiceClient(url, timeout_s=60), {"id": "default"}
    named = {"name": user, "password": password, "domain": domain}
    identity = {"methods": ["password"], "password": {"user": named}}
    asked = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}}
    answer = http.request("POST", "/identity/v3/auth/tokens", json=asked)
    return CloudClient(url, http, answer.headers["x-subject-token"])


def failing(url: str) -> dict[str, str]:
    """Service -> what is wrong with it; empty when all are ready.  Unavailable when nobody answers at `url`."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=10, trust_env=False, verify=False)  # no secret goes along
        found: dict[str, str] = answer.json()["failing"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise Unavailable(f"Nothing answers at {url}") from error
    return found


def is_ready(url: str) -> bool:
    try:
        return not failing(url)
    except PlatformError:
        return False
