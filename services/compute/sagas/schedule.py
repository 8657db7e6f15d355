"""Find a host for a server and hold what it needs there; when none fits, say why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from common.errors import NoCapacity, StaleGeneration, Unavailable
from services.compute.core.filters import explain
from services.compute.core.scheduling import Candidate, Wish, wish_of
from services.compute.core.weighers import best_first
from services.compute.db.placement import Placement
from services.compute.db.server_states import ServerStates
from services.compute.db.tables import ServerRow
from services.compute.sagas.kit import Kit

ROUNDS = 5  # of fresh candidates, each lost to others, before it waits a moment


def claim_somewhere(server: ServerRow, kit: Kit, session: Session, *, failed_hosts: Collection[str]) -> Candidate:
    """The host that now holds the server's claim.  NoCapacity with the whole explanation; Unavailable: soon perhaps."""
    placement = Placement(session)
    wish = _wish(server, session, failed_hosts)
    for _ in range(ROUNDS):
        candidates = placement.candidates(wish, seen_after=kit.seen_after(), start=uuid4())
        if not candidates:
            raise _refusal(placement, wish, kit)
        for candidate in best_first(candidates):
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


def _refusal(placement: Placement, wish: Wish, kit: Kit) -> Exception:
    explanation = explain(placement.views(seen_after=kit.seen_after()), wish)
    if (explanation.has_down or not explanation.total) and kit.is_new_to_hearing():
        return Unavailable("Hosts have not been heard of yet")
    return NoCapacity(explanation.message)


def _wish(server: ServerRow, session: Session, failed_hosts: Collection[str]) -> Wish:
    hints: Mapping[str, Any] = server.hints or {}
    beside, apart = _servers_in(hints, "same_host"), _servers_in(hints, "different_host")
    states = ServerStates(session)
    return wish_of(
        flavor=server.flavor,
        image_properties=server.image.get("properties") or {},
        wanted_zone=server.wanted_zone,
        failed_hosts=failed_hosts,
        beside=states.hosts_of(beside, project_id=server.project_id) if beside else None,
        apart=states.hosts_of(apart, project_id=server.project_id) if apart else (),
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
