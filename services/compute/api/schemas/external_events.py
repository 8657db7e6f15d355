"""Bodies of events that other services tell of servers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr

from common.errors import InvalidInput
from services.compute.api.schemas.parts import Id, Part

SINCE = {
    "network-changed": 1,
    "network-vif-plugged": 1,
    "network-vif-unplugged": 1,
    "network-vif-deleted": 1,
    "volume-extended": 51,
    "power-update": 76,
    "accelerator-request-bound": 82,
    "volume-reimaged": 93,
}
WITH_TAG = ("volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged")


class ServerEvent(Part):
    server_uuid: Id
    name: StrictStr
    status: Literal["failed", "completed", "in-progress"] = "completed"
    tag: Annotated[StrictStr, Field(max_length=255)] | None = None


class ServerEvents(Part):
    events: Annotated[list[ServerEvent], Field(min_length=1)]


def must_be_event(name: str, version: int) -> None:
    """InvalidInput for a name that this version does not have."""
    known = [one for one, since in SINCE.items() if version >= since]
    if name not in known:
        raise InvalidInput(
            f"Invalid input for field/attribute name. Value: {name[:64]}. {name[:64]!r} is not one of {known}"
        )
