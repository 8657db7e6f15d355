"""Metadata definitions: a catalogue of the properties that images, flavors and others may carry, in namespaces.

Words: Image API reference, v2, "Metadata definitions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a namespace holds."""

    OBJECT = "object"
    PROPERTY = "property"
    TAG = "tag"


PLURAL = {Kind.OBJECT: "objects", Kind.PROPERTY: "properties", Kind.TAG: "tags"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    name: str
    display_name: str | None
    description: str | None
    visibility: str  # public or private
    protected: bool
    owner: str | None
    created_at: datetime
    updated_at: datetime

    def target(self) -> dict[str, str | None]:
        """What policy checks may look at."""
        return {"project_id": self.owner, "owner": self.owner, "visibility": self.visibility}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An object, a property or a tag; `body` is all but its name."""

    kind: Kind
    name: str
    body: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPage:
    """Which of a namespace's objects or tags, and in which order; all of them by name if nothing is asked."""

    sort: str = "name"
    descends: bool = False
    marker: str | None = None  # the name of the last one seen
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A kind of resource that a namespace's properties are for."""

    resource_type: str
    prefix: str | None
    properties_target: str | None
    created_at: datetime
    updated_at: datetime
