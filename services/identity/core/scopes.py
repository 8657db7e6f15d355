"""What a token can be for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["unscoped", "project", "domain", "system"]


@dataclass(frozen=True, slots=True)
class Scope:
    """One project, one domain, the whole system, or nothing (where a user can only look for something to scope to)."""

    kind: Kind = "unscoped"
    target_id: str = ""

    @classmethod
    def project(cls, project_id: str) -> Scope:
        return cls("project", project_id)

    @classmethod
    def domain(cls, domain_id: str) -> Scope:
        return cls("domain", domain_id)


UNSCOPED = Scope()
SYSTEM = Scope("system", "all")
