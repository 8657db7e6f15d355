"""A router whose looks answer HEAD as well as GET, as Keystone's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends

from common.http.json import json_body

F = TypeVar("F", bound=Callable[..., Any])

Body = Annotated[Any, Depends(json_body)]
"""The request's JSON, not yet looked at."""


class Router(APIRouter):
    def look(self, path: str) -> Callable[[F], F]:
        def register(function: F) -> F:
            self.add_api_route(path, function, methods=["GET"], response_model=None)
            self.add_api_route(path, function, methods=["HEAD"], response_model=None, include_in_schema=False)
            return function

        return register
