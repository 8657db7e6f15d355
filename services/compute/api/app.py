"""The Compute API as an application."""

from __future__ import annotations

from fastapi import FastAPI

from common.auth.policy_file import probe
from common.auth.tokens import TokenVerifier
from common.http.app import Service, create_app
from common.http.audit import Audit
from services.compute.api.edge import Edge
from services.compute.api.faults import ComputeFaults
from services.compute.api.kit import Kit
from services.compute.api.routes import ROUTERS
from services.compute.contract import ComputeActivity


def compute_app(kit: Kit, verifier: TokenVerifier, *, identity_url: str) -> FastAPI:
    faults = ComputeFaults(identity_url)
    return create_app(
        Service(
            name="compute",
            routers=ROUTERS,
            faults=faults,
            state={"kit": kit, "verifier": verifier},
            probes={"database": kit.database.ping},
            audit=Audit("compute", kit.bus, ComputeActivity),
            remarks={"policy": lambda: probe(kit.policy)},
            id_headers=("x-openstack-request-id", "x-compute-request-id"),
            middleware=((Edge, {"faults": faults}),),
        )
    )
