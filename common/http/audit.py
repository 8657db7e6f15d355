"""The audit log: who did what to what, from where, and how it ended; every log-in and every call that changes something.

One JSON line for the logger "audit" and one event on the bus, in the manner of CADF.  The line is written first, so losing the
bus loses no line.  Bodies never come in here, so neither can the secrets in them; what clients choose is cut and escaped.
Of a flood of refusals to nobody known a few are told each second, and how many were not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import Scope

from common.audit import Activity
from common.auth.callers import Caller
from common.bus.bus import Bus
from common.floods import Flood
from common.http.operations import operation_of
from common.log import escaped

log = logging.getLogger("audit")

CHANGING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
LONGEST = 256
SECRET = re.compile(r"token|secret|password", re.IGNORECASE)
DELEGATED = ("trust_id", "trust_users", "application_credential_id")  # by whose leave a token acts for its user


class Audit:
    """Tells what one service did."""

    def __init__(self, service: str, bus: Bus, kind: type[Activity]) -> None:
        self._service, self._bus, self._kind = service, bus, kind
        self._refusals = Flood()

    def note(self, scope: Scope, headers: Headers, answered: Headers, status: int, rules: Mapping[str, bool]) -> None:
        """Called when a request has been answered; reads are not told.  Never raises."""
        route = scope.get("route")
        if scope["method"] not in CHANGING or not isinstance(route, APIRoute):
            return
        is_nobody_s = _is_nobody_s(scope.get("state", {}), status)
        if is_nobody_s and not self._refusals.passes():
            return
        try:
            facts: dict[str, Any] = self._refusals.facts() if is_nobody_s else {}
            activity = self._activity(scope, route, headers, answered, status, rules)
            log.info("activity", extra=facts | {"activity": activity.model_dump(mode="json", exclude_none=True)})
            self._bus.tell(activity)
        except Exception:
            log.exception("an activity was not told", extra={"method": scope["method"], "path": route.path})

    def _activity(
        self,
        scope: Scope,
        route: APIRoute,
        headers: Headers,
        answered: Headers,
        status: int,
        rules: Mapping[str, bool],
    ) -> Activity:
        state = scope.get("state", {})
        return self._kind(
            id=uuid4(),
            at=datetime.now(UTC),
            service=self._service,
            action=_action(route, scope["method"], rules),
            method=scope["method"],
            path=route.path,
            target={name: _given(name, value) for name, value in scope.get("path_params", {}).items()},
            made=plain(answered["location"]) if status < 300 and "location" in answered else state.get("audit_made"),
            initiator=_initiator(state.get("caller")),
            tried=state.get("audit_tried", {}),
            client=_client(scope, headers),
            agent=plain(headers.get("user-agent", "")),
            outcome="success" if status < 400 else "refused" if status in (401, 403) else "failure",
            status=status,
            reason=state.get("error"),
            rule=next((rule for rule, allowed in rules.items() if not allowed), None) if status == 403 else None,
            request_id=state.get("request_id"),
            global_request_id=_maybe(headers.get("x-openstack-request-id")),
        )


def _is_nobody_s(state: Mapping[str, Any], status: int) -> bool:
    """Refused before anybody was known.  A log-in that says who it is counts only while its address has to wait."""
    if state.get("caller") is not None or not 400 <= status < 500:
        return False
    return status == 429 or not (state.get("audit_tried", {}).keys() - {"methods"})


def logging_in(request: Request, **tried: str | None) -> None:
    """Somebody says to be this user: told also when it proves wrong."""
    request.state.audit_tried = {name: plain(value) for name, value in tried.items() if value}


def made(request: Request, what: str) -> None:
    """What a call made, where no Location tells it."""
    request.state.audit_made = plain(what)


def plain(text: str) -> str:
    """As it may stand in a log: short, and without characters that would move or hide others."""
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return escaped(short)


def _action(route: APIRoute, method: str, rules: Mapping[str, bool]) -> str:
    """Of an action, only the rule that was asked tells which it is."""
    if rules:
        return next(iter(rules))
    declared = operation_of(route)
    return declared.rules[0] if declared and declared.rules else f"{method} {route.path}"


def _given(name: str, value: object) -> str:
    return "***" if SECRET.search(name) else plain(str(value))


def _maybe(text: str | None) -> str | None:
    return plain(text) if text else None


def _initiator(caller: Caller | None) -> dict[str, Any]:
    if caller is None:
        return {}
    whole = {
        "user_id": caller.user_id,
        "user_domain_id": caller.user_domain_id,
        "project_id": caller.project_id,
        "domain_id": caller.domain_id,
        "system": "all" if caller.is_system else None,
        "roles": sorted(caller.roles),
        "methods": list(caller.methods),
        "audit_ids": list(caller.audit_ids[:1]),
    }
    whole |= {name: getattr(caller, name, None) for name in DELEGATED}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in whole.items() if value}


def _client(scope: Scope, headers: Headers) -> str:
    """What the gateway says, which takes the same header away from clients; else whoever is connected."""
    if said := headers.get("x-forwarded-for"):
        return plain(said)
    return str((scope.get("client") or ("inside",))[0])
