"""What a route says of itself besides its path: the policy rules that guard it, the body that it takes, its filters.

`make docs`, the audit log and the tests that walk over all operations read it back from the routes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from common.http.identity import authenticated

F = TypeVar("F", bound=Callable[..., Any])
Actions = dict[str, Any]
"""Key of a body -> the function that does what it asks."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`rules` are names of policy rules, the one that always counts first; none: everybody whom the route lets in.

    `also` are rules by which the answer alone grows or shrinks, where none always counts.
    """

    rules: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    takes: type[BaseModel] | None = None
    filters: tuple[str, ...] = ()  # query parameters that choose or order rows
    actions: Mapping[str, Any] = field(default_factory=dict)  # `{"name": options}`: each an operation of its own


def operation(
    *rules: str,
    also: Iterable[str] = (),
    takes: type[BaseModel] | None = None,
    filters: Iterable[str] = (),
    actions: Mapping[str, Any] | None = None,
) -> Callable[[F], F]:
    """Written on each route's function."""
    declared = Operation(rules, tuple(also), takes, tuple(filters), actions if actions is not None else {})

    def declare(function: F) -> F:
        function.__operation__ = declared  # type: ignore[attr-defined]
        return function

    return declare


def action(among: Actions, name: str, *rules: str, takes: type[BaseModel] | None = None) -> Callable[[F], F]:
    """Written on the function that does what `{name: options}` asks; `takes` is the model of the options."""

    def declare(function: F) -> F:
        among[name] = operation(*rules, takes=takes)(function)
        return function

    return declare


def operation_of(route: APIRoute) -> Operation | None:
    """None: the route declares nothing, which no route of ours may."""
    return declared_by(route.endpoint)


def declared_by(function: Callable[..., Any]) -> Operation | None:
    found: Operation | None = getattr(function, "__operation__", None)
    return found


def actions_of(declared: Operation) -> Iterator[tuple[str, Operation]]:
    """Each action with what it declares."""
    for name, function in declared.actions.items():
        yield name, declared_by(function) or Operation()


def rules_of(declared: Operation) -> Iterator[str]:
    """All rules, those of its actions included."""
    yield from (*declared.rules, *declared.also)
    for _, one in actions_of(declared):
        yield from rules_of(one)


def needs_token(route: APIRoute) -> bool:
    """Whether the route asks who is calling; if not, everybody is answered."""
    return _asks(route.dependant)


def _asks(dependant: Dependant) -> bool:
    return dependant.call is authenticated or any(_asks(one) for one in dependant.dependencies)
