"""A router in Keystone's habits: looks answer HEAD as well as GET; what is made is 201, what is assigned or removed 204.

Each verb takes the policy rules that guard the operation, the one that always counts first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from common.http.json import json_body
from common.http.operations import operation

F = TypeVar("F", bound=Callable[..., Any])

Body = Annotated[Any, Depends(json_body)]
"""The request's JSON, not yet looked at."""


class Router(APIRouter):
    def look(self, path: str, *rules: str, filters: Iterable[str] = (), status: int = 200) -> Callable[[F], F]:
        """GET and HEAD."""

        def register(function: F) -> F:
            declared = operation(*rules, filters=filters)(function)
            self._add(path, declared, "GET", status)
            self._add(path, declared, "HEAD", status, include_in_schema=False)
            return function

        return register

    def make(self, path: str, *rules: str, takes: type[BaseModel] | None = None, status: int = 201) -> Callable[[F], F]:
        """POST."""
        return self._verb("POST", path, rules, takes, status)

    def change(
        self, path: str, *rules: str, takes: type[BaseModel] | None = None, status: int = 200
    ) -> Callable[[F], F]:
        """PATCH."""
        return self._verb("PATCH", path, rules, takes, status)

    def assign(
        self, path: str, *rules: str, takes: type[BaseModel] | None = None, status: int = 204
    ) -> Callable[[F], F]:
        """PUT."""
        return self._verb("PUT", path, rules, takes, status)

    def remove(self, path: str, *rules: str, status: int = 204) -> Callable[[F], F]:
        """DELETE."""
        return self._verb("DELETE", path, rules, None, status)

    def _verb(
        self, method: str, path: str, rules: tuple[str, ...], takes: type[BaseModel] | None, status: int
    ) -> Callable[[F], F]:
        def register(function: F) -> F:
            self._add(path, operation(*rules, takes=takes)(function), method, status)
            return function

        return register

    def _add(self, path: str, function: Callable[..., Any], method: str, status: int, **options: Any) -> None:
        """A function that returns nothing answers without a body."""
        self.add_api_route(
            path,
            function,
            methods=[method],
            status_code=status,
            response_class=Response,
            response_model=None,
            **options,
        )
