"""A whole cloud in this process: every part, the in-process bus, and the gateway as the only listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from starlette.types import ASGIApp

from api_gateway import main as gateway
from cli import first_users, parts, servers
from cli.places import Places
from cli.running import sole_owner
from common import log
from common.http.inprocess import Inside
from common.process import Part, Surroundings
from common.settings import PlatformSettings

BEHIND_THE_GATEWAY = ("identity", "image", "compute-api", "placement-api", "compute-console", "compute-worker", "agent")


def run(places: Places, *, ready: Callable[[], None] | None = None) -> None:
    """Run the cloud of this directory until SIGTERM.  Conflict if it runs already."""
    with sole_owner(places):
        platform = PlatformSettings.read(places.settings)
        log.start(level=platform.log_level, form=platform.log_form, audit_log=platform.audit_log)
        surroundings = Surroundings(
            platform=platform, settings_file=places.settings, bus=parts.bus_of(platform), inside=Inside()
        )
        first_users.ensure(surroundings)
        servers.run(all_parts(surroundings), surroundings, ready=ready)
    servers.leave()


def all_parts(surroundings: Surroundings) -> list[Part]:
    """Every part; each finds the ones before it under their names."""
    assert surroundings.inside is not None
    services: dict[str, ASGIApp] = {}
    built = []
    for name in BEHIND_THE_GATEWAY:
        part = parts.build(name, surroundings)
        if part.app is not None and (service := parts.SERVICE_OF.get(name)):
            services[service] = part.app
            surroundings.inside.add(service, part.app)
        built.append(replace(part, listen=None))
    return [*built, gateway.build(surroundings, services)]
