"""Policy documents, and the endpoints that they are for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, and_, delete, exists, or_, select
from sqlalchemy.orm import Session

from common.errors import NotFound
from services.identity.db import regions
from services.identity.db.cloud_tables import PolicyAssociation, PolicyDocument
from services.identity.db.tables import Endpoint


@dataclass(frozen=True, slots=True)
class Aim:
    """What a policy is for: one endpoint, a service, or a service in a region."""

    endpoint_id: str = ""
    service_id: str = ""
    region_id: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.endpoint_id, self.service_id, self.region_id


def known(session: Session, policy_id: str) -> PolicyDocument:
    """NotFound, in Keystone's words."""
    if (policy := session.get(PolicyDocument, policy_id)) is None:
        raise NotFound(f"Could not find policy: {policy_id}.")
    return policy


def remove(session: Session, policy: PolicyDocument) -> None:
    session.execute(delete(PolicyAssociation).where(PolicyAssociation.policy_id == policy.id))
    session.delete(policy)


def aim(session: Session, policy_id: str, at: Aim) -> None:
    """In place of the policy that was for this before.  Twice is once."""
    found = session.get(PolicyAssociation, at.key)
    if found is None:
        endpoint_id, service_id, region_id = at.key
        found = PolicyAssociation(endpoint_id=endpoint_id, service_id=service_id, region_id=region_id)
        session.add(found)
    found.policy_id = policy_id


def aimed(session: Session, policy_id: str, at: Aim) -> PolicyAssociation:
    """NotFound"""
    found = session.get(PolicyAssociation, at.key)
    if found is None or found.policy_id != policy_id:
        raise NotFound("Could not find policy association.")
    return found


def of_endpoint(session: Session, endpoint: Endpoint) -> PolicyDocument:
    """Its own, else that of its service in the nearest region around it, else that of its service.  NotFound"""
    around = regions.outwards(session, endpoint.region_id)
    aims = [Aim(endpoint_id=endpoint.id), *(Aim(service_id=endpoint.service_id, region_id=one) for one in around)]
    for one in (*aims, Aim(service_id=endpoint.service_id)):
        if (found := session.get(PolicyAssociation, one.key)) is not None:
            return known(session, found.policy_id)
    raise NotFound(f"No policy is associated with endpoint {endpoint.id}.")


def endpoints_of(session: Session, policy_id: str) -> Select[Endpoint]:
    """The endpoints for which `of_endpoint` finds this policy."""
    tied = exists().where(
        or_(
            PolicyAssociation.endpoint_id == Endpoint.id,
            and_(PolicyAssociation.endpoint_id == "", PolicyAssociation.service_id == Endpoint.service_id),
        )
    )
    candidates = session.scalars(select(Endpoint).where(tied)).all()
    found = [one.id for one in candidates if of_endpoint_or_none(session, one) == policy_id]
    return select(Endpoint).where(Endpoint.id.in_(found))


def of_endpoint_or_none(session: Session, endpoint: Endpoint) -> str | None:
    try:
        return of_endpoint(session, endpoint).id
    except NotFound:
        return None
