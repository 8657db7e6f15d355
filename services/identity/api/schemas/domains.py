"""The bodies that make and change a domain."""

from __future__ import annotations

from pydantic import BaseModel

from services.identity.api.schemas.projects import ProjectFields
from services.identity.api.schemas.texts import ProjectName, Text


class NewDomain(ProjectFields):
    name: ProjectName
    explicit_domain_id: Text | None = None


class ChangedDomain(ProjectFields):
    name: ProjectName = ""


class DomainBody(BaseModel):
    domain: NewDomain


class DomainChangeBody(BaseModel):
    domain: ChangedDomain
