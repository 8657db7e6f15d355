"""What the bodies of most resources have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, StrictBool

from services.identity.api.schemas.texts import Additions


class Fields(BaseModel):
    """Of one resource.  What is not named in a subclass is kept and shown as it came."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: Additions

    id: Any = None  # ours to give: ignored when new, compared when changed
    links: Any = None  # ours

    def additions(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})

    def given(self, *names: str) -> dict[str, Any]:
        """Those of `names` that the body has."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class Options(BaseModel):
    """Of a project or a domain.  None takes an option away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    immutable: StrictBool | None = None

    def laid_over(self, present: dict[str, Any]) -> dict[str, Any]:
        """`present` with what was given; what is not named stays."""
        laid = present | {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in laid.items() if value is not None}
