"""Bodies about services."""

from __future__ import annotations

from typing import ClassVar, Literal

from services.compute.api.schemas.parts import Boolean, HostName, Part, Text255


class NamedService(Part):
    """Before 2.53 a service was named in the body."""

    since: ClassVar = {"forced_down": 11}

    host: HostName
    binary: Text255
    disabled_reason: Text255 | None = None
    forced_down: Boolean | None = None


class UpdateService(Part):
    status: Literal["enabled", "disabled"] | None = None
    disabled_reason: Text255 | None = None
    forced_down: Boolean | None = None
