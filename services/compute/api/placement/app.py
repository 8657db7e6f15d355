"""The Placement API as an application."""

from __future__ import annotations

from fastapi import FastAPI

from common.auth.policy_file import probe
from common.auth.tokens import TokenVerifier
from common.bus.bus import Bus
from common.http.app import Service, create_app
from common.http.audit import Audit
from services.compute.api.placement.edge import Edge
from services.compute.api.placement.faults import PlacementFaults
from services.compute.api.placement.kit import Kit
from services.compute.api.placement.routes import ROUTERS
from services.compute.contract import PlacementActivity


def placement_app(kit: Kit, bus: Bus, verifier: TokenVerifier, *, identity_url: str) -> FastAPI:
    faults = PlacementFaults(identity_url)
    return create_app(
        Service(
            name="placement",
            routers=ROUTERS,
            faults=faults,
            state={"kit": kit, "verifier": verifier},
            probes={"database": kit.database.ping},
            audit=Audit("placement", bus, PlacementActivity),
            remarks={"policy": lambda: probe(kit.policy)},
            middleware=((Edge, {"faults": faults}),),
        )
    )
