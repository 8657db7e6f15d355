"""The bodies that make and change policy documents and OAuth consumers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, model_validator

from services.identity.api.schemas.resources import Fields
from services.identity.api.schemas.texts import Name, Text


class NewPolicy(Fields):
    blob: Text
    type: Name


class ChangedPolicy(Fields):
    blob: Text = ""
    type: Name = ""


class PolicyBody(BaseModel):
    policy: NewPolicy


class PolicyChangeBody(BaseModel):
    policy: ChangedPolicy


class ConsumerFields(Fields):
    description: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_secret(cls, given: Any) -> Any:
        """The secret is ours to choose."""
        if isinstance(given, dict) and "secret" in given:
            raise ValueError("The secret of a consumer cannot be chosen or changed")
        return given


class ConsumerBody(BaseModel):
    consumer: ConsumerFields
