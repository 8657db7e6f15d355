"""The bodies that make and change a group."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from services.identity.api.schemas.texts import Additions, GroupName, Id, Text


class GroupFields(BaseModel):
    """What is not named here is kept and shown as it came."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: Additions

    id: Any = None  # ours to give: ignored when new, compared when changed
    description: Text | None = None
    links: Any = None  # ours

    def additions(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class NewGroup(GroupFields):
    name: GroupName
    domain_id: Id | None = None


class ChangedGroup(GroupFields):
    name: GroupName = ""
    domain_id: Any = None  # only the one that it has


class GroupBody(BaseModel):
    group: NewGroup


class GroupChangeBody(BaseModel):
    group: ChangedGroup
