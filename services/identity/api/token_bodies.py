"""The body that describes a token, and the catalog in it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from common.auth.callers import Caller
from services.identity.api.scoping import Granted
from services.identity.core.times import written, written_bare
from services.identity.db import catalog
from services.identity.db.tables import Domain
from services.identity.db.users import Member

Body = dict[str, Any]


def token_body(session: Session, caller: Caller, member: Member, found: Granted, *, with_catalog: bool) -> Body:
    """`{"token": …}` as it is shown when issued and when validated."""
    body: Body = {
        "methods": list(caller.methods),
        "user": {
            "domain": _named(member.domain),
            "id": member.user.id,
            "name": member.user.name,
            "password_expires_at": written_bare(member.user.password_expires_at),
        },
        "audit_ids": audit_ids(caller),
        "expires_at": written(caller.expires_at),
        "issued_at": written(caller.issued_at),
    }
    body |= _scope(found)
    if found.scope.kind != "unscoped":
        body["roles"] = [{"id": role.id, "name": role.name} for role in found.roles]
        if with_catalog:
            body["catalog"] = catalog_body(session)
    return {"token": body}


def audit_ids(caller: Caller) -> list[str]:
    """Its own, and the first of its chain."""
    return list(dict.fromkeys((caller.audit_ids[0], caller.audit_ids[-1])))


def _scope(found: Granted) -> Body:
    if found.placed is not None:
        project, domain = found.placed.project, found.placed.domain
        return {"project": {"domain": _named(domain), "id": project.id, "name": project.name}, "is_domain": False}
    if found.domain is not None:
        return {"domain": _named(found.domain)}
    return {"system": {"all": True}} if found.scope.kind == "system" else {}


def _named(domain: Domain) -> Body:
    return {"id": domain.id, "name": domain.name}


def catalog_body(session: Session) -> list[Body]:
    """Services with their endpoints."""
    services: dict[str, Body] = {}
    for one in catalog.offered(session):
        shown = services.setdefault(
            one.service_id, {"endpoints": [], "id": one.service_id, "type": one.type, "name": one.name}
        )
        shown["endpoints"].append(
            {
                "id": one.id,
                "interface": one.interface,
                "region_id": one.region_id,
                "url": one.url,
                "region": one.region_id,
            }
        )
    return list(services.values())
