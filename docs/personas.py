"""Who may do what without any change of the rules: every operation for every kind of user, computed from the rules themselves.

`docs/api/policy.md` is written from it, and `tests/security/platform/test_persona_matrix.py` holds running services to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from common.auth.callers import Caller
from common.auth.policy import Policy
from common.http.operations import actions_of, needs_token, operation_of
from services.compute.api.placement.policy import RULES as PLACEMENT_RULES
from services.compute.api.placement.routes import ROUTERS as PLACEMENT
from services.compute.api.policy import RULES as COMPUTE_RULES
from services.compute.api.routes import ROUTERS as COMPUTE
from services.identity.api import ROUTERS as IDENTITY
from services.identity.api import RULES as IDENTITY_RULES
from services.image.api.policy import RULES as IMAGE_RULES
from services.image.api.routes import ROUTERS as IMAGE

SERVICES: Mapping[str, tuple[Sequence[APIRouter], Mapping[str, str]]] = {
    "identity": (IDENTITY, IDENTITY_RULES),
    "image": (IMAGE, IMAGE_RULES),
    "compute": (COMPUTE, COMPUTE_RULES),
    "placement": (PLACEMENT, PLACEMENT_RULES),
}
OWN, OTHER = "own", "other"
SOMEBODY_S = frozenset(("server_id", "image_id", "project_id", "user_id"))  # parameters of things that have an owner


class Whose(Mapping[str, Any]):
    """Something all of whose fields say whose it is; the role that it gives is the cloud's `member`."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def __getitem__(self, name: str) -> Any:
        return {"target.role.name": "member", "target.role.domain_id": None}.get(name, self._whose)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


YES, FORBIDDEN, HIDDEN = "yes", "403", "404"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _persona(*roles: str, project: bool = False, domain: bool = False, system: bool = False) -> Caller:
    return Caller(
        user_id=OWN,
        user_domain_id=OWN,
        issued_at=_NOW,
        expires_at=_NOW + timedelta(hours=1),
        audit_ids=("a",),
        project_id=OWN if project else None,
        project_domain_id=OWN if project else None,
        domain_id=OWN if domain else None,
        is_system=system,
        roles=frozenset(roles),
    )


_READER, _MEMBER = ("reader",), ("reader", "member")
_MANAGER, _ADMIN = (*_MEMBER, "manager"), (*_MEMBER, "manager", "admin")

PERSONAS: Mapping[str, Caller] = {
    "admin": _persona(*_ADMIN, project=True),
    "system admin": _persona(*_ADMIN, system=True),
    "system reader": _persona(*_READER, system=True),
    "domain manager": _persona(*_MANAGER, domain=True),
    "domain reader": _persona(*_READER, domain=True),
    "project manager": _persona(*_MANAGER, project=True),
    "project member": _persona(*_MEMBER, project=True),
    "project reader": _persona(*_READER, project=True),
    "no role": _persona(),
    "service": _persona("service", project=True),
}


@dataclass(frozen=True, slots=True)
class Doing:
    """One operation: a method at a path, or one action of it; `rule` is None where everybody with a token may."""

    service: str
    method: str
    path: str
    action: str | None
    rule: str | None

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(re.findall(r"{(\w+)", self.path))

    def __str__(self) -> str:
        return f"{self.method} /{self.service}{self.path}" + (f" {self.action}" if self.action else "")


def doings() -> Iterator[Doing]:
    """Every operation that asks who is calling."""
    for service, (routers, _) in SERVICES.items():
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and route.include_in_schema and needs_token(route):
                    yield from _doings(service, route)


def _doings(service: str, route: APIRoute) -> Iterator[Doing]:
    declared = operation_of(route)
    assert declared is not None
    method = min(route.methods or {"GET"})
    first = declared.rules[0] if declared.rules else None
    if not declared.actions:
        yield Doing(service, method, route.path, None, first)
    for name, one in actions_of(declared):
        yield Doing(service, method, route.path, name, one.rules[0] if one.rules else first)


def policies() -> dict[str, Policy]:
    return {service: Policy(rules) for service, (_, rules) in SERVICES.items()}


def verdict(policy: Policy, doing: Doing, caller: Caller, whose: str) -> str:
    """What the rules make of it: for one's own thing, or somebody else's."""
    has_owner = doing.parameters & SOMEBODY_S or (doing.service == "identity" and doing.parameters)
    target = Whose(whose) if has_owner else caller.facts()
    out_of_reach = whose == OTHER or (caller.project_id is None and doing.service != "identity")
    if out_of_reach and not _sees_all(policy, doing, caller):
        return HIDDEN
    return YES if doing.rule is None or policy.allows(doing.rule, caller, target) else FORBIDDEN


def _sees_all(policy: Policy, doing: Doing, caller: Caller) -> bool:
    """Servers, images and trusts of others are not there for whom they are not meant."""
    if doing.service == "compute":
        return "server_id" not in doing.parameters or caller.is_admin
    if doing.service == "image":
        return "image_id" not in doing.parameters or policy.allows("see_every_image", caller)
    return "trust_id" not in doing.parameters or policy.allows("identity:get_trust", caller, Whose(OTHER))


def table() -> str:
    """The page: one row for each operation."""
    known, names = policies(), list(PERSONAS)
    head = f"| operation | rule | {' | '.join(names)} |\n| --- | --- |{' --- |' * len(names)}\n"
    parts = [_INTRODUCTION]
    for service in SERVICES:
        parts.append(f"\n## {service}\n\n{head}")
        rows = sorted({one for one in doings() if one.service == service}, key=str)
        parts += [_row(known[service], doing) for doing in rows]
    return "".join(parts)


def _row(policy: Policy, doing: Doing) -> str:
    cells = []
    for caller in PERSONAS.values():
        own, other = (verdict(policy, doing, caller, whose) for whose in (OWN, OTHER))
        cells.append(own if own == other else f"{own} · {other}")
    what = f"{doing.method} `{doing.path}`" + (f" `{doing.action}`" if doing.action else "")
    return f"| {what} | {f'`{doing.rule}`' if doing.rule else ''} | {' | '.join(cells)} |\n"


_INTRODUCTION = """# Who may do what

Computed from the built-in rules; [an operator may change them](../guide/change-the-policy.md).

- `yes · 404`: with one's own things (of one's user, project or domain) yes; others' cannot be seen. 403 is a refusal.
- An operation without a rule is for everybody who has a token.
- Rules that only some requests need (another project's servers in a list, a chosen host …) are not shown.
- A role that is given or taken is `member` here; of the cloud's roles a domain's manager also gives `reader` and `manager`.
- Where identity looks into what is asked (whose domain a filter names), it may refuse more than is shown.
"""
