"""Who asks: a verified token's user, scope and roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.auth.access_rules import AccessRule

FACTS = ("user_id", "project_id", "domain_id", "system_scope")
"""What policy checks may look at; `Caller.facts` tells it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Made only from a verified token; no header of a client's reaches it."""

    user_id: str
    user_domain_id: str
    issued_at: datetime
    expires_at: datetime
    audit_ids: tuple[str, ...]  # own id first, id of the first token in the chain last
    methods: tuple[str, ...] = ()
    project_id: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    is_system: bool = False
    is_admin_project: bool = False
    roles: frozenset[str] = frozenset()  # names, implied ones included
    role_ids: frozenset[str] = frozenset()
    trust_id: str | None = None
    trust_users: tuple[str, ...] = ()  # all trustors and trustees on the way from the first trust to this one
    application_credential_id: str | None = None
    is_restricted: bool = False  # an application credential that must not make or read others
    access_rules: tuple[AccessRule, ...] = ()  # the only requests it may make; empty: all
    token: str = field(default="", repr=False, compare=False)

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    @property
    def is_service(self) -> bool:
        """One of Pileus's own processes."""
        return "service" in self.roles

    @property
    def is_delegated(self) -> bool:
        """It acts in a user's name with less than the user's power, so it must not get hold of more."""
        return self.trust_id is not None or self.is_restricted or bool(self.access_rules)

    def facts(self) -> dict[str, Any]:
        """What policy checks may look at."""
        return {
            "user_id": self.user_id,
            "project_id": self.project_id,
            "domain_id": self.domain_id,
            "system_scope": "all" if self.is_system else None,
        }
