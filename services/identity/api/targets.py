"""What policy asks about before a body was looked at: whom it may concern comes before whether it is right."""

from __future__ import annotations

from typing import Any

from common.auth.callers import Caller
from services.identity.api.projects import own_domain


def home_of(body: Any, noun: str, caller: Caller) -> str:
    """The domain that `{noun: {…}}` would be put into."""
    asked = body.get(noun) if isinstance(body, dict) else None
    named = asked.get("domain_id") if isinstance(asked, dict) else None
    return named if isinstance(named, str) and named else own_domain(caller)
