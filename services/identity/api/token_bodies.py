"""The body that describes a token, and the catalog in it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from common.auth.callers import Caller
from services.identity.api.delegation import Grant
from services.identity.api.scoping import Granted
from services.identity.core.endpoint_urls import filled_in
from services.identity.core.times import written, written_bare
from services.identity.db import catalog
from services.identity.db.tables import Domain

Body = dict[str, Any]


def token_body(session: Session, caller: Caller, got: Grant, *, with_catalog: bool) -> Body:
    """`{"token": …}` as it is shown when issued and when validated."""
    member, found = got.member, got.found
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
            body["catalog"] = catalog_body(session, caller)
    return {"token": body | _delegated(got)}


def _delegated(got: Grant) -> Body:
    """Through what it acts."""
    if (trust := got.trust) is not None:
        return {
            "OS-TRUST:trust": {
                "id": trust.id,
                "impersonation": trust.impersonation,
                "trustee_user": {"id": trust.trustee_user_id},
                "trustor_user": {"id": trust.trustor_user_id},
            }
        }
    if (credential := got.credential) is None:
        return {}
    shown: Body = {"id": credential.id, "name": credential.name, "restricted": not credential.unrestricted}
    if got.rules:
        shown["access_rules"] = [rule._asdict() for rule in got.rules]
    return {"application_credential": shown}


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


def catalog_body(session: Session, caller: Caller) -> list[Body]:
    """Services with their endpoints; those of the caller's project, with its id where an address wants it."""
    values = {"project_id": caller.project_id, "tenant_id": caller.project_id, "user_id": caller.user_id}
    services: dict[str, Body] = {}
    for one in catalog.offered(session, caller.project_id):
        if (url := filled_in(one.url, values)) is None:
            continue
        shown = services.setdefault(
            one.service_id, {"endpoints": [], "id": one.service_id, "type": one.type, "name": one.name}
        )
        shown["endpoints"].append(
            {
                "id": one.id,
                "interface": one.interface,
                "region_id": one.region_id,
                "url": url,
                "region": one.region_id,
            }
        )
    return list(services.values())
