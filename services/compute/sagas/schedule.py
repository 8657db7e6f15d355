"""Find a host for a server and hold what it needs there; when none fits, say why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from common.errors import NoCapacity, StaleGeneration, Unavailable
from services.compute.core.aggregates import for_flavor, kept_from_image, kept_from_project
from services.compute.core.filters import explain
from services.compute.core.scheduling import Candidate, Wish, wish_of
from services.compute.core.server_groups import Company
from services.compute.core.weighers import best_first
from services.compute.db.aggregates import Aggregates
from services.compute.db.placement import Placement
from services.compute.db.server_groups import ServerGroups
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import ServerRow
from services.compute.sagas.kit import Kit

ROUNDS = 5  # of fresh candidates, each lost to others, before it waits a moment


def claim_somewhere(server: ServerRow, kit: Kit, session: Session, *, failed_hosts: Collection[str]) -> Candidate:
    """The host that now holds the server's claim.  NoCapacity with the whole explanation; Unavailable: soon perhaps."""
    placement = Placement(session)
    company = ServerGroups(session).company_of(server.id)
    wish = _wish(server, session, failed_hosts, company)
    for _ in range(ROUNDS):
        candidates = _candidates(placement, wish, company, kit)
        if not candidates:
            raise _refusal(placement, wish, kit)
        for candidate in best_first(candidates, company):
            try:
                placement.claim(
                    candidate,
                    wish,
                    consumer_id=server.id,
                    project_id=server.project_id,
                    user_id=server.user_id,
                    at=kit.now(),
                )
            except StaleGeneration:
                continue
            return candidate
    raise Unavailable("Many servers are being scheduled; this one waits for its turn")


def _candidates(placement: Placement, wish: Wish, company: Company | None, kit: Kit) -> list[Candidate]:
    """Where a soft policy is heeded, if there are such hosts; anywhere otherwise."""
    wishes = [wish]
    if company is not None and company.policy.is_soft:
        wishes.insert(0, replace(wish, with_group=company.together, group_full=company.full))
    for one in wishes:
        if found := placement.candidates(one, seen_after=kit.seen_after(), start=uuid4()):
            return found
    return []


def _refusal(placement: Placement, wish: Wish, kit: Kit) -> Exception:
    explanation = explain(placement.views(seen_after=kit.seen_after()), wish)
    if (explanation.has_down or not explanation.total) and kit.is_new_to_hearing():
        return Unavailable("Hosts have not been heard of yet")
    return NoCapacity(explanation.message)


def _wish(server: ServerRow, session: Session, failed_hosts: Collection[str], company: Company | None) -> Wish:
    hints: Mapping[str, Any] = server.hints or {}
    beside, apart = _servers_in(hints, "same_host"), _servers_in(hints, "different_host")
    states = ServerStates(session)
    properties, groups = server.image.get("properties") or {}, Aggregates(session).groups()
    wish = wish_of(
        flavor=server.flavor,
        image_properties=properties,
        wanted_zone=server.wanted_zone,
        failed_hosts=failed_hosts,
        beside=states.hosts_of(beside, project_id=server.project_id) if beside else None,
        apart=states.hosts_of(apart, project_id=server.project_id) if apart else (),
    )
    is_strict = company is not None and not company.policy.is_soft
    return replace(
        wish,
        with_group=company.together if company is not None and is_strict else None,
        group_full=company.full if company is not None and is_strict else frozenset(),
        for_flavor=for_flavor(groups, server.flavor.get("extra_specs") or {}),
        for_others=kept_from_project(groups, server.project_id),
        for_other_images=kept_from_image(groups, properties),
    )


def _servers_in(hints: Mapping[str, Any], name: str) -> list[UUID]:
    """Ids in a hint, given as one or as a list; what is no id names no server."""
    given = hints.get(name) or []
    found = []
    for one in given if isinstance(given, list) else [given]:
        try:
            found.append(UUID(str(one)))
        except ValueError:
            continue
    return found
