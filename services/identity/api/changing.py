"""What every change has to pass before it is looked at more closely."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel

from common.errors import Forbidden, InvalidInput
from common.http.invalid import parsed
from services.identity.api.schemas.resources import Fields


class HasOptions(Protocol):
    id: Any
    options: Any


def change(model: type[BaseModel], body: Any, noun: str, own_id: str) -> Any:
    """`{noun: {…}}` as the model has it, which changes something and not the id.  InvalidInput"""
    asked = getattr(parsed(model, body), noun)
    assert isinstance(asked, Fields)
    if not asked.model_fields_set:
        raise InvalidInput(f"Invalid input for field/attribute {noun}. Value: {{}}. {{}} should be non-empty")
    if asked.id not in (None, own_id):
        raise InvalidInput("Cannot change ID")
    return asked


def refuse_immutable(verb: str, kind: str, row: HasOptions, asked: Fields | None = None) -> None:
    """An immutable resource takes one change: that it is immutable no more.  Forbidden"""
    if not row.options.get("immutable"):
        return
    options = getattr(asked, "options", None)
    if asked and asked.model_fields_set == {"options"} and options is not None and not options.immutable:
        return
    raise Forbidden(
        f'Unable to {verb} immutable {kind} resource: `{row.id}. Set resource option "immutable" to false first.'
    )
