"""Domains.  Identity API v3, "Domains"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from fastapi import Request, Response
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from common.errors import Forbidden, InvalidInput
from common.http.identity import Caller
from common.http.invalid import parsed
from common.http.json import Json
from services.identity.api.changing import change, refuse_immutable
from services.identity.api.kit import Kit, KitOf
from services.identity.api.lists import PageOf, answer, asked_for, reach
from services.identity.api.routing import Body, Router
from services.identity.api.schemas.domains import ChangedDomain, DomainBody, DomainChangeBody
from services.identity.api.schemas.projects import ProjectFields
from services.identity.contract import TokenRevoked
from services.identity.db import domains, projects, tags
from services.identity.db.lists import matching
from services.identity.db.tables import Domain

router = Router()

# fmt: off
RULES = {
    "identity:get_domain":     "rule:reader_above",
    "identity:list_domains":   "rule:reader_above",
    "identity:create_domain":  "rule:admin",
    "identity:update_domain":  "rule:admin",
    "identity:delete_domain":  "rule:admin",
}
# fmt: on


FILTERS = {"name": Domain.name, "enabled": Domain.enabled}


def all_shown(kit: Kit, session: Session, found: Sequence[Domain]) -> list[dict[str, Any]]:
    """With their tags, which cost one query."""
    tagged = tags.of_domains(session, [domain.id for domain in found])
    return [shown(kit, domain, tagged[domain.id]) for domain in found]


def shown(kit: Kit, domain: Domain, tags: Sequence[str]) -> dict[str, Any]:
    return {
        **domain.extra,
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "tags": tags,
        "options": domain.options,
        "links": {"self": f"{kit.url}/domains/{domain.id}"},
    }


def wanted(request: Request) -> list[ColumnElement[bool]]:
    """What the query asks of domains."""
    return asked_for(request, FILTERS)


@router.look("/v3/domains", "identity:list_domains", filters=FILTERS)
def list_domains(request: Request, caller: Caller, kit: KitOf, asked: PageOf) -> Response:
    own = reach(kit, "identity:list_domains", caller, None)
    query = matching(select(Domain), {Domain.id: own}).where(*wanted(request))
    return answer(request, kit, "domains", query, Domain.id, asked, partial(all_shown, kit))


@router.look("/v3/domains/{domain_id}", "identity:get_domain")
def show_domain(domain_id: str, caller: Caller, kit: KitOf) -> Response:
    target = {"domain_id": domain_id}
    own = {caller.user_domain_id, caller.project_domain_id}
    if domain_id not in own:
        kit.policy.must("identity:get_domain", caller, target)
    with kit.database.reading() as session:
        [domain] = all_shown(kit, session, [projects.known_domain(session, domain_id)])
    return Json({"domain": domain})


@router.make("/v3/domains", "identity:create_domain", takes=DomainBody)
def create_domain(body: Body, caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("identity:create_domain", caller, {})
    asked = parsed(DomainBody, body).domain
    domain_id = uuid4().hex if asked.explicit_domain_id is None else _id_of(asked.explicit_domain_id)
    with kit.database.transaction() as session:
        domain = new(session, domain_id, asked.name, asked)
        tags.replace(session, domain, asked.tags)
        [made] = all_shown(kit, session, [domain])
    return Json({"domain": made}, 201)


@router.change("/v3/domains/{domain_id}", "identity:update_domain", takes=DomainChangeBody)
def update_domain(domain_id: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    """Tokens of the people and for the projects of a domain that is being disabled end."""
    kit.policy.must("identity:update_domain", caller, {})
    with kit.database.transaction() as session:
        domain = projects.known_domain(session, domain_id)
        asked: ChangedDomain = change(DomainChangeBody, body, "domain", domain_id)
        event = take_over(kit, session, domain, asked)
        [changed] = all_shown(kit, session, [domain])
    if event:
        kit.bus.tell(event)
    return Json({"domain": changed})


@router.remove("/v3/domains/{domain_id}", "identity:delete_domain")
def delete_domain(domain_id: str, caller: Caller, kit: KitOf) -> None:
    """With everything in it."""
    kit.policy.must("identity:delete_domain", caller, {})
    with kit.database.transaction() as session:
        event = end(kit, session, projects.known_domain(session, domain_id))
    kit.bus.tell(event)


def new(session: Session, domain_id: str, name: str, asked: ProjectFields) -> Domain:
    description = asked.description if "description" in asked.model_fields_set else ""
    domain = Domain(
        id=domain_id,
        name=name,
        description=description,
        enabled=asked.enabled,
        options=asked.options.laid_over({}),
        extra=asked.additions(),
    )
    domains.keep(session, domain)
    return domain


def take_over(kit: Kit, session: Session, domain: Domain, asked: ProjectFields) -> TokenRevoked | None:
    """What to tell when it is disabled now."""
    refuse_immutable("update", "domain", domain, asked)
    was_enabled = domain.enabled
    for name, value in asked.given("name", "description", "enabled").items():
        setattr(domain, name, value)
    domain.options = asked.options.laid_over(domain.options)
    domain.extra = domain.extra | asked.additions()
    domains.keep(session, domain)
    if "tags" in asked.model_fields_set:
        tags.replace(session, domain, asked.tags)
    return kit.revoke(session, domain_id=domain.id) if was_enabled and not domain.enabled else None


def end(kit: Kit, session: Session, domain: Domain) -> TokenRevoked:
    """Delete it.  Forbidden while it is enabled"""
    refuse_immutable("delete", "domain", domain)
    if domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    domain_id = domain.id
    domains.remove(session, domain)
    return kit.revoke(session, domain_id=domain_id)


def _id_of(text: str) -> str:
    """InvalidInput unless it looks like those that we make."""
    try:
        good = UUID(text).hex == text
    except ValueError:
        good = False
    if not good:
        raise InvalidInput("Domain ID does not conform to required UUID format.")
    return text
