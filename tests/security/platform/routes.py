"""Every route of every service, read from the applications' own tables: a new one is attacked without being named here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute

from cli import parts, settings_file
from cli.places import Places
from common.http.inprocess import Inside
from common.process import Surroundings
from common.settings import PlatformSettings

HEALTH = {"/healthz", "/readyz", "/metrics"}  # answered by each process for itself


@dataclass(frozen=True, slots=True, order=True)
class Route:
    service: str
    method: str
    path: str  # as the service knows it, with its {parameters}

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)", self.path)

    @property
    def takes_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")

    def at(self, value: Callable[[str], str]) -> str:
        """The public path, each parameter given by its name."""
        filled = re.sub(r"{(\w+)(?::\w+)?}", lambda found: value(found[1]), self.path)
        return f"/{self.service}{filled}"

    def __str__(self) -> str:
        return f"{self.method} /{self.service}{self.path}"


def routes_of(directory: Path) -> list[Route]:
    """Of services that were built here and answer nobody."""
    return sorted({route for service, app in applications(directory).items() for route in _routes(service, app)})


def _routes(service: str, app: FastAPI) -> Iterator[Route]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path not in HEALTH:
            yield from (Route(service, method, route.path) for method in route.methods or ())


def _settings(directory: Path) -> Path:
    places = Places(directory)
    places.make()
    sections = settings_file.embedded(
        places,
        cloud_id=settings_file.new_cloud_id(),
        listen="127.0.0.1:1",
        public_url="http://127.0.0.1:1",
        storage=directory / "guests",
    )
    settings_file.write(places, sections)
    return places.settings


def applications(directory: Path) -> Mapping[str, FastAPI]:
    """Each service's, over databases in that directory."""
    settings = _settings(directory)
    plain = PlatformSettings.read(settings)
    bus = parts.bus_of(plain)
    surroundings = Surroundings(platform=plain, settings_file=settings, bus=bus, inside=Inside())
    found: dict[str, FastAPI] = {}
    for name, service in parts.SERVICE_OF.items():
        part = parts.build(name, surroundings)
        assert isinstance(part.app, FastAPI), name
        found[service] = part.app
    bus.close()
    return found
