"""What a route says of itself besides its path: the policy rules that guard it, the body that it takes, its filters.

`make docs` and the tests that walk over all operations read it back from the routes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi.routing import APIRoute
from pydantic import BaseModel

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """`rules` are names of policy rules, the one that always counts first; none: answered without a token."""

    rules: tuple[str, ...] = ()
    takes: type[BaseModel] | None = None
    filters: tuple[str, ...] = ()  # query parameters that choose or order rows


def operation(*rules: str, takes: type[BaseModel] | None = None, filters: Iterable[str] = ()) -> Callable[[F], F]:
    """Written on each route's function."""
    declared = Operation(rules, takes, tuple(filters))

    def declare(function: F) -> F:
        function.__operation__ = declared  # type: ignore[attr-defined]
        return function

    return declare


def operation_of(route: APIRoute) -> Operation | None:
    """None: the route declares nothing, which no route of ours may."""
    found: Operation | None = getattr(route.endpoint, "__operation__", None)
    return found
