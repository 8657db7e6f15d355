"""Domains.  Identity API v3, "Domains"."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy import select

from common.http.identity import Caller
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, flag, listed, reach
from services.identity.api.routing import Router
from services.identity.db import projects
from services.identity.db.lists import matching, page
from services.identity.db.tables import Domain

router = Router()


def shown(kit: Kit, domain: Domain) -> dict[str, Any]:
    return {
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "tags": [],
        "options": {},
        "links": {"self": f"{kit.url}/domains/{domain.id}"},
    }


@router.look("/v3/domains")
def list_domains(
    request: Request, caller: Caller, kit: KitOf, asked: PageOf, name: str | None = None, enabled: str | None = None
) -> Response:
    own = reach(kit, "identity:list_domains", caller, None)
    query = matching(select(Domain), {Domain.id: own, Domain.name: name, Domain.enabled: flag(enabled)})
    with kit.database.reading() as session:
        rows, more = page(session, query, Domain.id, asked)
        return listed(request, kit, "domains", [shown(kit, row) for row in rows], more=more, limit=asked.limit)


@router.look("/v3/domains/{domain_id}")
def show_domain(domain_id: str, caller: Caller, kit: KitOf) -> Response:
    target = {"domain_id": domain_id}
    own = {caller.user_domain_id, caller.project_domain_id}
    if domain_id not in own:
        kit.policy.must("identity:get_domain", caller, target)
    with kit.database.reading() as session:
        return Json({"domain": shown(kit, projects.known_domain(session, domain_id))})
