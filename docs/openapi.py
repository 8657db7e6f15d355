"""OpenAPI documents of the services, from what their routes declare: `docs/api/openapi/<service>.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from common.http.operations import Operation, actions_of, needs_token, operation_of
from services.compute.api.queries import KNOWN

MEDIA_TYPES: dict[tuple[str, ...], str] = {
    ("image", "PATCH"): "application/openstack-images-v2.1-json-patch",
    ("image", "PUT", "/v2/images/{image_id}/file"): "application/octet-stream",
}
REFERENCE = "#/components/schemas/{model}"
Document = dict[str, Any]


def document(service: str, routers: Sequence[APIRouter]) -> str:
    """One service's document."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    shown = [route for route in routes if route.include_in_schema]
    named, schemas = _schemas(shown)
    paths: dict[str, Document] = {}
    for route in shown:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        for method in sorted(route.methods or ()):
            paths.setdefault(path, {})[method.lower()] = _operation(service, method, path, route, named)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": f"Pileus {service}", "version": "1"},
        "servers": [{"url": f"/{service}"}],
        "paths": paths,
        "components": {
            "schemas": schemas | {"Error": {"type": "object"}},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }
    return json.dumps(whole, indent=1, sort_keys=True, default=str) + "\n"


def _schemas(routes: Sequence[APIRoute]) -> tuple[dict[type[BaseModel], str], dict[str, Any]]:
    models = list(dict.fromkeys(model for route in routes for model in _models(_declared(route))))
    found, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
    named = {model: found[model, "validation"]["$ref"] for model in models}
    return named, definitions.get("$defs", {})


def _models(declared: Operation) -> Iterator[type[BaseModel]]:
    if declared.takes is not None:
        yield declared.takes
    for _, one in actions_of(declared):
        yield from _models(one)


def _declared(route: APIRoute) -> Operation:
    return operation_of(route) or Operation()


def _operation(service: str, method: str, path: str, route: APIRoute, named: dict[type[BaseModel], str]) -> Document:
    declared = _declared(route)
    queries = declared.filters or (KNOWN[path.removeprefix("/v2.1")].names if _has_known(service, method, path) else ())
    told: Document = {
        "operationId": f"{method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', path)}",
        "summary": (route.endpoint.__doc__ or "").strip().split("\n")[0] or route.name.replace("_", " "),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", path)),
            *({"name": name, "in": "query", "schema": _TEXT} for name in sorted(set(queries))),
        ],
        "responses": {"2XX": {"description": "done"}, "4XX": _ERROR},
    }
    if needs_token(route):
        told["security"] = [{"token": []}]
    if declared.rules:
        told["x-policy"] = list(declared.rules)
    if (schema := _body(declared, named)) is not None:
        told["requestBody"] = {"required": True, "content": {_media_type(service, method, path): {"schema": schema}}}
    return told


def _has_known(service: str, method: str, path: str) -> bool:
    return service == "compute" and method == "GET" and path.removeprefix("/v2.1") in KNOWN


def _body(declared: Operation, named: dict[type[BaseModel], str]) -> Document | None:
    if declared.takes is not None:
        return {"$ref": named[declared.takes]}
    if not declared.actions:
        return None
    return {"oneOf": [_action(name, one, named) for name, one in actions_of(declared)]}


def _action(name: str, one: Operation, named: dict[type[BaseModel], str]) -> Document:
    options: Document = {"$ref": named[one.takes]} if one.takes is not None else {}
    return {"type": "object", "properties": {name: options}, "required": [name], "additionalProperties": False}


def _media_type(service: str, method: str, path: str) -> str:
    return MEDIA_TYPES.get((service, method, path)) or MEDIA_TYPES.get((service, method)) or "application/json"


_TEXT = {"type": "string"}
_ERROR = {"description": "refused", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
