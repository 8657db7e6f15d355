"""Makes each service's HTTP application, so that all of them treat ids, limits, errors and health alike."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.routing import Match

from common.errors import InvalidInput, PlatformError
from common.http.audit import Audit
from common.http.door import Door, Limits
from common.http.faults import Faults
from common.http.json import Json

log = logging.getLogger(__name__)

Probe = Callable[[], None]
"""Returns if the part it asks is well; raises a PlatformError that says what is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What differs from one service's application to another's."""

    name: str
    catalog_type: str | None = None  # where it differs from the name
    routers: Sequence[APIRouter]
    faults: Faults
    state: Mapping[str, Any] = field(default_factory=dict)  # what routes find in `request.app.state`
    probes: Mapping[str, Probe] = field(default_factory=dict)
    remarks: Mapping[str, Probe] = field(default_factory=dict)  # what is wrong without being in the way of an answer
    limits: Limits = field(default_factory=Limits)
    id_headers: tuple[str, ...] = ("x-openstack-request-id",)
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None
    audit: Audit | None = None
    middleware: Sequence[tuple[type, Mapping[str, Any]]] = ()  # inside the door, outermost first


def create_app(service: Service) -> FastAPI:
    """The application of one service."""
    app = FastAPI(
        title=service.name,
        openapi_url=None,  # the documents come from `make docs`; nobody gets the list of all routes without a token
        docs_url=None,
        redoc_url=None,
        lifespan=service.lifespan,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.service_type = service.catalog_type or service.name
    for name, value in service.state.items():
        setattr(app.state, name, value)
    routers = (_health(service), *service.routers)
    _answer_errors(app, service.faults, routers)
    for router in routers:  # `include_router` would build each route once more, with the first request, and keep both
        app.router.routes.extend(router.routes)
    for kind, options in reversed(service.middleware):
        app.add_middleware(kind, **options)
    app.add_middleware(
        Door,
        service=service.name,
        faults=service.faults,
        limits=service.limits,
        id_headers=service.id_headers,
        audit=service.audit,
    )
    return app


def _answer_errors(app: FastAPI, faults: Faults, routers: Sequence[APIRouter]) -> None:
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]

    @app.exception_handler(PlatformError)
    async def known(request: Request, error: PlatformError) -> Response:
        request.state.error = error.code
        if error.status >= 500:
            log.error("request failed: %s", error.message, extra=error.facts, exc_info=error)
        return faults.answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return faults.answer(request, InvalidInput(f"Invalid input for field/attribute {where}. {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            return faults.wrong_method(request, ", ".join(_methods(routes, request)))
        return faults.unknown_path(request)


def _methods(routes: Sequence[APIRoute], request: Request) -> list[str]:
    """All that the path is served with; the framework would name those of its first route."""
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in found for method in route.methods or ()})


def _health(service: Service) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    def alive() -> Response:
        """The process answers."""
        return Json({"service": service.name, "status": "ok"})

    @router.get("/readyz")
    def ready() -> Response:
        """Every part that it needs answers; 503 names those that do not.  Remarks are for the operator alone."""
        failing, remarks = _complaints(service.probes), _complaints(service.remarks)
        body = {"service": service.name, "status": "degraded" if failing else "ok", "failing": failing}
        if remarks:
            body["remarks"] = remarks
        return Json(body, 503 if failing else 200)

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _complaints(probes: Mapping[str, Probe]) -> dict[str, str]:
    return {name: why for name, probe in probes.items() if (why := _complaint(probe))}


def _complaint(probe: Probe) -> str | None:
    try:
        probe()
    except PlatformError as error:
        return error.message
    return None
