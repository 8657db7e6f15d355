"""Every noun's routes, in the order in which paths are tried."""

from __future__ import annotations

from fastapi import APIRouter

from services.compute.api import discovery, flavors, server_actions, servers

ROUTERS: tuple[APIRouter, ...] = (
    discovery.routes,
    servers.routes,
    server_actions.routes,
    flavors.routes,
)
