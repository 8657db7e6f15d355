"""The body that sets options of a domain."""

from __future__ import annotations

from pydantic import BaseModel, Field

from services.identity.api.schemas.texts import Additions


class ConfigBody(BaseModel):
    """Which sections and options there may be is told in other words, and by another status, than a malformed body."""

    config: Additions = Field(default_factory=dict, repr=False)
