"""Domains.  Identity API v3, "Domains"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.http.identity import Caller
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for, reach
from services.identity.api.routing import Router
from services.identity.db import projects
from services.identity.db.lists import matching
from services.identity.db.tables import Domain

router = Router()

# fmt: off
RULES = {
    "identity:get_domain":    "rule:reader_above",
    "identity:list_domains":  "rule:reader_above",
}
# fmt: on


FILTERS = {"name": Domain.name, "enabled": Domain.enabled}


def all_shown(kit: Kit, session: Session, found: Sequence[Domain]) -> list[dict[str, Any]]:
    return [shown(kit, domain) for domain in found]


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


@router.look("/v3/domains", "identity:list_domains", filters=FILTERS)
def list_domains(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    own = reach(kit, "identity:list_domains", caller, None)
    query = matching(select(Domain), {Domain.id: own}).where(*asked_for(request, FILTERS))
    return answer(request, kit, "domains", query, Domain.id, asked, partial(all_shown, kit))


@router.look("/v3/domains/{domain_id}", "identity:get_domain")
def show_domain(domain_id: str, caller: Caller, kit: KitOf) -> Response:
    target = {"domain_id": domain_id}
    own = {caller.user_domain_id, caller.project_domain_id}
    if domain_id not in own:
        kit.policy.must("identity:get_domain", caller, target)
    with kit.database.reading() as session:
        return Json({"domain": shown(kit, projects.known_domain(session, domain_id))})
