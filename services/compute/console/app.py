"""The consoles as an application."""

from __future__ import annotations

from fastapi import FastAPI

from common.http.app import Service, create_app
from services.compute.console import pages, sockets
from services.compute.console.faults import ConsoleFaults
from services.compute.console.kit import ConsoleKit


def console_app(kit: ConsoleKit) -> FastAPI:
    return create_app(
        Service(
            name="console",
            routers=(pages.routes, sockets.routes),
            faults=ConsoleFaults(),
            state={"kit": kit},
            probes={"database": kit.database.ping},
        )
    )
