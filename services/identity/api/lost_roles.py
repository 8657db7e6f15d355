"""Which tokens end when a role is lost.

The list of revocations is looked through at each request of each service, so a change writes one entry if it can, and never more
than a hundred: with a larger group, whoever has the same role in the same place logs in again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy.orm import Session

from services.identity.api.kit import Kit
from services.identity.contract import TokenRevoked
from services.identity.db import grants, roles
from services.identity.db.grants import Grant
from services.identity.db.tables import Project, Role

Ends = dict[str, str]
"""Fields of a revocation."""

MOST_ENTRIES = 100


def after_taking(kit: Kit, session: Session, grant: Grant, role: Role) -> list[TokenRevoked]:
    """Ends what carries the role because of the grant; tell the bus once the session is committed."""
    ends = _there(session, grant, role)
    if grant.actor == "user":
        return _revoked(kit, session, [{"user_id": grant.actor_id} | ends])
    members = grants.members(session, grant.actor_id, most=MOST_ENTRIES + 1)
    if len(members) <= MOST_ENTRIES:
        return _revoked(kit, session, [{"user_id": member} | ends for member in members])
    return _revoked(kit, session, [ends | one for one in _carried(session, role)])


def after_leaving(kit: Kit, session: Session, group_id: str, leavers: Sequence[str]) -> list[TokenRevoked]:
    """The same for users who are no longer in the group, or whose group goes away; before its roles are deleted."""
    given = grants.of_group(session, group_id)
    if len(given) * len(leavers) <= MOST_ENTRIES:
        places = [_there(session, grant, role) for grant, role in given]
        return _revoked(kit, session, [{"user_id": user} | ends for user in leavers for ends in places])
    if len(leavers) <= MOST_ENTRIES:
        return _revoked(kit, session, [{"user_id": user} for user in leavers])
    lost = {role.id: role for _, role in given}.values()
    return _revoked(kit, session, [ends for role in lost for ends in _carried(session, role)])


def after_dissolving(kit: Kit, session: Session, group_id: str) -> list[TokenRevoked]:
    """The same for all members of a group."""
    return after_leaving(kit, session, group_id, grants.members(session, group_id, most=MOST_ENTRIES + 1))


def after_removing(kit: Kit, session: Session, role: Role) -> list[TokenRevoked]:
    """The same for a role that goes away; before it is deleted."""
    return _revoked(kit, session, _carried(session, role))


def after_unlinking(kit: Kit, session: Session, prior: Role, implied: Role) -> list[TokenRevoked]:
    """The same when `prior` stops to imply `implied`: a token that carries the second for that reason carries the first too."""
    return _revoked(kit, session, _carried(session, implied if prior.domain_id else prior))


def _there(session: Session, grant: Grant, role: Role) -> Ends:
    """What carries the role in the grant's place.  A domain's own role is in no token by itself."""
    return _place(session, grant) | ({"role_id": role.id} if role.domain_id is None else {})


def _place(session: Session, grant: Grant) -> Ends:
    """Where the grant counts.  An inherited one: somewhere in that domain."""
    scope = grant.scope
    if scope.kind == "system":
        return {}
    if scope.kind == "project" and grant.inherited:
        project = session.get_one(Project, scope.target_id)
        return {"domain_id": project.domain_id}
    return {f"{scope.kind}_id": scope.target_id}


def _carried(session: Session, role: Role) -> Iterator[Ends]:
    """A domain's own role is in no token: what it implies is."""
    if role.domain_id is None:
        yield {"role_id": role.id}
        return
    for one in roles.implied_by(session, [role.id]):
        if one.domain_id is None:
            yield {"role_id": one.id}


def _revoked(kit: Kit, session: Session, entries: Iterable[Ends]) -> list[TokenRevoked]:
    return [kit.revoke(session, **ends) for ends in entries]
