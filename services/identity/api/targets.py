"""What policy asks about before a body was looked at: whom it may concern comes before whether it is right."""

from __future__ import annotations

from typing import Any

from common.auth.callers import Caller


def own_domain(caller: Caller) -> str:
    """The domain that something new is put into when none is named."""
    return caller.domain_id or caller.project_domain_id or caller.user_domain_id


def home_of(body: Any, noun: str, caller: Caller) -> str:
    """The domain that `{noun: {…}}` would be put into."""
    named = object_in(body, noun).get("domain_id")
    return named if isinstance(named, str) and named else own_domain(caller)


def object_in(body: Any, noun: str) -> dict[str, Any]:
    """What stands under `noun`; nothing when that is no object."""
    asked = body.get(noun) if isinstance(body, dict) else None
    return asked if isinstance(asked, dict) else {}
