"""Find a host for a server and hold what it needs there; when none fits, say why.  Or say only where it would go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from common.errors import NoCapacity, StaleGeneration, Unavailable
from services.compute.core.aggregates import for_flavor, kept_from_image, kept_from_project
from services.compute.core.filters import Explanation, explain
from services.compute.core.scheduling import Candidate, Wish, wish_of
from services.compute.core.server_groups import Company
from services.compute.core.weighers import best_first
from services.compute.db.aggregates import Aggregates
from services.compute.db.fitting_trees import FittingTrees
from services.compute.db.hosts import Hosts
from services.compute.db.placement import Placement
from services.compute.db.server_groups import ServerGroups
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import ServerRow
from services.compute.sagas.kit import Kit

ROUNDS = 5  # of fresh candidates, each lost to others, before it waits a moment


def claim_somewhere(
    server: ServerRow, kit: Kit, session: Session, *, failed_hosts: Collection[str], wanted_host: str | None = None
) -> Candidate:
    """The host that now holds the server's claim.  NoCapacity with the whole explanation; Unavailable: soon perhaps."""
    placement = Placement(session)
    company = ServerGroups(session).company_of(server.id)
    wish = _wish(server, session, failed_hosts, company)
    if wanted_host is not None:
        wish = replace(wish, host=wanted_host)
    for _ in range(ROUNDS):
        candidates = _candidates(placement, wish, company, kit)
        if not candidates:
            raise _refusal(wish, kit, session)
        for candidate in _in_order(candidates, company, kit, session):
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


@dataclass(frozen=True, slots=True)
class Prospect:
    """Where a server would go, and what became of all the other hosts."""

    host: str | None
    zone: str | None
    explanation: Explanation


def prospect(server: ServerRow, kit: Kit, session: Session) -> Prospect:
    """As if it were booted now: what it needs is held in this transaction, which the caller does not commit."""
    wish = _wish(server, session, (), ServerGroups(session).company_of(server.id))
    explanation = _explained(wish, kit, session)
    try:
        found = claim_somewhere(server, kit, session, failed_hosts=())
    except (NoCapacity, Unavailable):
        return Prospect(None, None, explanation)
    server.host = found.host
    session.flush()
    return Prospect(found.host, found.zone, explanation)


def _in_order(candidates: list[Candidate], company: Company | None, kit: Kit, session: Session) -> list[Candidate]:
    weights = kit.rules.weights
    is_asked = weights.io and len(candidates) > 1
    busy = ServerStates(session).busy_on([one.host for one in candidates]) if is_asked else {}
    return best_first(candidates, company, weights=weights, busy=busy)


def must_suit(server: ServerRow, kit: Kit, session: Session, *, flavor: Mapping[str, Any] | None = None) -> None:
    """NoCapacity, with the whole explanation, unless the server's own host would take it with this flavor and its image.

    What it takes up is claimed elsewhere, and where it was wanted once does not count any more.
    """
    wanted = ServerRow(
        id=server.id,
        project_id=server.project_id,
        hints={},
        image=server.image,
        flavor=flavor or server.flavor,
        wanted_zone=None,
    )
    wish = replace(_wish(wanted, session, (), None), resources={}, groups={}, host=server.host)
    if not Placement(session).candidates(wish, seen_after=kit.seen_after(), start=UUID(int=0), most=1):
        raise _refusal(wish, kit, session)


def _candidates(placement: Placement, wish: Wish, company: Company | None, kit: Kit) -> list[Candidate]:
    """Where a soft policy is heeded, if there are such hosts; anywhere otherwise."""
    wishes = [wish]
    if company is not None and company.policy.is_soft:
        wishes.insert(0, replace(wish, with_group=company.together, group_full=company.full))
    for one in wishes:
        if found := placement.candidates(one, seen_after=kit.seen_after(), start=uuid4()):
            return found
    return []


def _explained(wish: Wish, kit: Kit, session: Session) -> Explanation:
    if wish.groups:
        wish = replace(wish, for_groups=FittingTrees(session).hosts_with(wish.demand))
    return explain(Placement(session).views(wish, seen_after=kit.seen_after()), wish)


def _refusal(wish: Wish, kit: Kit, session: Session) -> Exception:
    explanation = _explained(wish, kit, session)
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
        for_properties=Hosts(session).suiting(properties),
        without_cells=Hosts(session).without_cells(wish.processors),
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
