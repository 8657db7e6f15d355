"""Bodies about hosts, of the time before 2.43."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from services.compute.api.schemas.parts import Part


def _word(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


Switch = Annotated[Literal["enable", "disable"], BeforeValidator(_word)]


class UpdateHost(Part):
    status: Switch = "enable"
    maintenance_mode: Switch = "disable"
